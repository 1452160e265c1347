import type { ReceiveRateSettings } from "../Settings.js"
import { charge, overdraft } from "../Rate.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"

/** Limits how fast one connection may receive: one rate for messages, and one for bytes. */
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

  /**
   * Counts messages and bytes, and returns whether they exceed a rate. If the settings then pause the connection rather than
   * close it, `onPaid` is called when it may continue.
   */
  exceeds(messages: number, size: number): boolean {
    const { burst, closes, perByte, perMessage } = this.settings
    const { now } = this.timers
    this.paidMessages = charge(this.paidMessages, now, messages * perMessage)
    this.paidBytes = charge(this.paidBytes, now, size * perByte)
    const wait = overdraft(Math.max(this.paidMessages, this.paidBytes), now, burst)
    if (wait === 0) return false
    if (!closes) this.timers.set(this, now + wait)
    return true
  }

  get closes(): boolean {
    return this.settings.closes
  }

  fire(): void {
    this.onPaid()
  }

  stop(): void {
    this.timers.clear(this)
  }
}
