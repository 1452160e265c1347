import type { Topics } from "@effect-websocket/platform"

/** An element of a topic as a line: `1 hello`, `New 0`, `Gap 3`. */
export const showTopicEvent = (event: Topics.TopicEvent): string => {
  switch (event._tag) {
    case "Publication":
      return `${event.position.offset} ${String(event.message.data)}`
    case "Recovered":
      return `Recovered ${event.position.offset}, missed ${event.missed}`
    default:
      return `${event._tag} ${event.position.offset}`
  }
}
