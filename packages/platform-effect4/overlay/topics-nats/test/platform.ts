/** What the tests share with those of the platform package. The twin for Effect 3 is in packages/topics-nats. */
export * from "../../test/effect/index.js"
export { afterAll, assert, beforeAll, describe, it } from "../../test/effect/vitest.js"
export { topicBrokerLaws } from "../../test/topicBrokerLaws.js"
