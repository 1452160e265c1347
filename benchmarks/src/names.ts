/** The names of the subjects, as results and targets use them. */

export const baseline = "ws"
/** Echoes bytes without reading frames. */
export const floor = "raw net"
export const bunName = "Bun"
export const socketIoName = "Socket.IO"

/** The names of the groups of cases that run only if they are asked for. */
export type Suite = "topics"

/** The versions of Effect that the library is measured on. The first one leads. */
export const effects = ["4", "3"] as const
export type EffectVersion = (typeof effects)[number]

/** The name of one of this library's ways to read. Without a version, it is the one on Effect 4. */
export const nameOn = (effect: EffectVersion, way: string): string =>
  effect === "4" ? way : `${way} on Effect ${effect}`

/** The major of a version of Node such as `v24.21.0`. */
export const majorOf = (version: string): string => /^v?(\d+)/.exec(version)?.[1] ?? version
