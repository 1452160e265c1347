/** What the tests of packages with brokers share. */
export * from "../effect/index.js"
export { afterAll, assert, beforeAll, describe, it } from "../effect/vitest.js"
export { topicBrokerLaws } from "../topicBrokerLaws.js"
export { brokerFaults, proxyTo } from "./brokerFaults.js"
export { eventually, freshTopic, listen, numbers, publish, recordLog, textOf, until, untilTrue } from "./operations.js"
export { Proxy } from "./Proxy.js"
