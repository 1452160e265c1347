import * as Exit from "effect/Exit"
import { hasInterruptsOnly } from "./effect.js"

/** The close code for the way in which a scope or a handler ended. */
export const closeCodeOfExit = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) ? 1000 : hasInterruptsOnly(exit.cause) ? 1001 : 1011
