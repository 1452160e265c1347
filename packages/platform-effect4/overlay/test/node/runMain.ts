/** What the tests of signals know about `NodeRuntime.runMain`. */

/** The exit code of a process that a signal has interrupted. */
export const interruptedCode = 130

/** Whether a second signal ends the process at once. `runMain` of Effect 4 takes all signals until the program has ended. */
export const endsAtSecondSignal = false
