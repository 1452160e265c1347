import type { ReceiveRateSettings } from "../../engine/Settings.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"

/** The rate of one connection: the generic cell rate algorithm, once for messages and once for bytes. */
export class ReceiveRate implements Alarm {
  alarmTime = 0
  alarmIndex = notSet
  private paidMessages = 0
  private paidBytes = 0
  private readonly settings: ReceiveRateSettings
  private readonly timers: Timers
  private readonly onPaid: () => void

  constructor(settings: ReceiveRateSettings, timers: Timers, onPaid: () => void) {
    this.settings = settings
    this.timers = timers
    this.onPaid = onPaid
  }

  /** Whether it was too much. Where the answer is to wait, it tells when that is over. */
  exceeds(messages: number, size: number): boolean {
    const { burst, closes, perByte, perMessage } = this.settings
    const { now } = this.timers
    this.paidMessages = Math.max(this.paidMessages, now) + messages * perMessage
    this.paidBytes = Math.max(this.paidBytes, now) + size * perByte
    const wait = Math.max(this.paidMessages, this.paidBytes) - now - burst
    // A sum of many costs is not exact.
    if (wait <= 1e-6) return false
    if (!closes) this.timers.set(this, now + wait)
    return true
  }

  get closes(): boolean {
    return this.settings.closes
  }

  ring(): void {
    this.onPaid()
  }

  stop(): void {
    this.timers.clear(this)
  }
}
