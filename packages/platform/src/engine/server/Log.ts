import type { UpgradeAttempt } from "./UpgradeAttempt.js"

export type LogLevel = "debug" | "warning" | "error"

/** Logs a message about a request. `detail` is a text, a `Defect`, or whatever a check failed with. */
export type Log = (level: LogLevel, message: string, detail: unknown, attempt: UpgradeAttempt) => void
