import type { Position, Publication } from "../engine/topics/Publication.js"

/** The subscriber begins behind `position`. */
export interface New {
  readonly _tag: "New"
  readonly position: Position
}

/** The subscriber goes on behind `position`. `missed` publications follow that it has not seen yet, and then the later ones. */
export interface Recovered {
  readonly _tag: "Recovered"
  readonly position: Position
  readonly missed: number
}

/** Publications are missing. The next one follows `position`. */
export interface Gap {
  readonly _tag: "Gap"
  readonly position: Position
}

export type Started = New | Recovered | Gap
export type TopicEvent = Started | Publication

export const gap = (position: Position): Gap => ({ _tag: "Gap", position })
