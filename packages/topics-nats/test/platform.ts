/** What the tests share with those of the platform package. The copy for Effect 4 has a twin of this file. */
export * from "../../platform/test/effect/index.js"
export { afterAll, assert, beforeAll, describe, it } from "../../platform/test/effect/vitest.js"
export { topicBrokerLaws } from "../../platform/test/topicBrokerLaws.js"
