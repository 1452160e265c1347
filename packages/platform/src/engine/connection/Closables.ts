/** Something that is open, or about to be. */
export interface Closable {
  /**
   * How long it stays open, in milliseconds, while the scope that it belongs to waits for members that were acquired after it:
   * zero, or half of the time for closing.
   */
  readonly patience: number
  /**
   * Begins to close, at once and without waiting. Idempotent. `waited` is the part of the time for closing, in
   * milliseconds, that the scope has spent on other connections.
   */
  beginClose(code: number, waited?: number): void
  /** Calls back once it is closed, which is bound to come; at once if it is closed. Returns what undoes this. */
  whenClosed(done: () => void): () => void
}

/** Closes its members in the end. */
export interface Owner {
  /** Adds a member. Begins to close it if the owner has begun to close. */
  add(member: Closable): void
  delete(member: Closable): void
}

/**
 * Connections that end together. All begin to close in one step, so that n of them take one deadline, not n. A connection that
 * ends earlier removes itself.
 */
export class Closables implements Owner {
  private readonly members = new Set<Closable>()
  private code: number | undefined = undefined

  add(member: Closable): void {
    this.members.add(member)
    if (this.code !== undefined) member.beginClose(this.code)
  }

  delete(member: Closable): void {
    this.members.delete(member)
  }

  /** Begins to close all members, and those that are added later. Returns the members, which the caller may wait for. */
  beginClose(code: number): ReadonlyArray<Closable> {
    this.code = code
    const members = [...this.members]
    for (const member of members) member.beginClose(code)
    return members
  }
}

/** What `whenClosed` returns if there is nothing to undo. */
export const nothingToUndo = (): void => {}

/** The `whenClosed` of members for whose end nobody has to wait. */
export const closedAtOnce = (done: () => void): (() => void) => {
  done()
  return nothingToUndo
}
