import { Duration } from "effect"

/** After this time the sessions of a process that crashed are gone. */
export const expiryMillis = 1_500

export const presenceOptions = {
  expiry: Duration.millis(expiryMillis),
  leaveDelay: "100 millis",
  interval: "20 millis"
} as const
