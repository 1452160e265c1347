/** What the tests share with those of the platform package. The twin for Effect 3 is in packages/topics-redis. */
export * from "../../test/topicBrokers/index.js"
