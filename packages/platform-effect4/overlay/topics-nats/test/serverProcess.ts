/** Processes of servers. The twin for Effect 3 is in packages/topics-nats. */
export * from "../../test/topicBrokers/ServerProcess.js"
