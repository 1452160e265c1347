/** What the tests of signals know about `NodeRuntime.runMain`. */

/** The exit code of a process that a signal has interrupted. */
export const interruptedCode = 0

/** Whether a second signal ends the process at once. */
export const endsAtSecondSignal = true
