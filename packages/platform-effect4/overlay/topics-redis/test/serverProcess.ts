/** Processes of servers. The twin for Effect 3 is in packages/topics-redis. */
export * from "../../test/topicBrokers/ServerProcess.js"
