/** What the tests share with those of the platform package. The copy for Effect 4 has a twin of this file. */
export * from "../../platform/test/topicBrokers/index.js"
