import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import { topicBrokerLaws } from "./topicBrokerLaws.js"

topicBrokerLaws("MemoryTopicBroker", MemoryTopicBroker.layer())
