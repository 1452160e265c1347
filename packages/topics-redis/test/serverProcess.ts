/** Processes of servers. The copy for Effect 4 has a twin of this file. */
export * from "../../platform/test/topicBrokers/ServerProcess.js"
