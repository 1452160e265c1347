/** Something that is open, or about to open. */
export interface Closable {
  /**
   * How long it stays open, in milliseconds, while its scope waits for members that were acquired after it. This is zero, or
   * half of the close timeout.
   */
  readonly patience: number
  /**
   * Begins to close at once, without waiting. Idempotent. `waited` is the part of the close timeout, in milliseconds, that
   * the scope has already spent on other connections.
   */
  beginClose(code: number, waited?: number): void
  /**
   * Calls `done` when it is closed, or at once if it already is. It is certain to close in the end. Returns a
   * function that removes the callback.
   */
  whenClosed(done: () => void): () => void
}

/** Closes its members when it ends. */
export interface Owner {
  /** Adds a member. If the owner has begun to close, the member begins to close, too. */
  add(member: Closable): void
  delete(member: Closable): void
}

/**
 * Connections that end together. All begin to close in one step, so that n connections take one close timeout, not n. A
 * connection that ends earlier removes itself.
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

  /**
   * Begins to close all members, including those that are added later. Returns the members, so that the caller may wait
   * for them.
   */
  beginClose(code: number): ReadonlyArray<Closable> {
    this.code = code
    return beginCloseAll(this.members, code)
  }
}

/** Begins to close members in one step, and returns them. */
export const beginCloseAll = (members: Iterable<Closable>, code: number): ReadonlyArray<Closable> => {
  // A copy, because members may end as they begin to close.
  const all = [...members]
  for (const member of all) member.beginClose(code)
  return all
}

/** `whenClosed` returns this if there is no callback to remove. */
export const nothingToUndo = (): void => {}

/** A `whenClosed` for members that nobody has to wait for. */
export const closedAtOnce = (done: () => void): (() => void) => {
  done()
  return nothingToUndo
}
