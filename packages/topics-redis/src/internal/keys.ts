// Between braces is what a cluster hashes, up to the first `}`.
const escape = (topic: string): string => topic.replaceAll("%", "%25").replaceAll("}", "%7D")

/** A key or channel of a topic. All of a topic are in the same slot of a cluster. */
export const keyOf = (prefix: string, topic: string, name: string): string => `${prefix}{${escape(topic)}}:${name}`
