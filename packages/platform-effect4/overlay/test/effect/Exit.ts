import { Exit } from "effect"

export * from "effect/Exit"

/** The exit in an exit, or the failure around it. */
export const flatten = <A, E, E2>(exit: Exit.Exit<Exit.Exit<A, E>, E2>): Exit.Exit<A, E | E2> =>
  Exit.isSuccess(exit) ? exit.value : Exit.failCause(exit.cause)
