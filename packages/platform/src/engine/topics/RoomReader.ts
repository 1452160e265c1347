/** Somebody who is present, with the `meta` of each of their sessions, sorted. */
export interface PresentMember {
  readonly key: string
  readonly metas: ReadonlyArray<string>
}

/** Who is present. */
export interface Present<M = PresentMember> {
  readonly _tag: "Present"
  readonly members: ReadonlyArray<M>
}

/** Who has come, whose `metas` are others than before, and who has left, with what was known of them last. */
export interface Changed<M = PresentMember> {
  readonly _tag: "Changed"
  readonly joined: ReadonlyArray<M>
  readonly updated: ReadonlyArray<M>
  readonly left: ReadonlyArray<PresentMember>
}

/** Gets each change of a room. It must not throw. */
export interface RoomObserver {
  changed(change: Changed): void
  /** Anything may have changed. */
  restart(): void
}

/** Who is present in a topic, as its observers know it. */
export interface Room {
  readonly observers: Set<RoomObserver>
  readonly present: Present
  /** How many members there are. */
  readonly size: number
}

// Changes that wait for an observer. If there are more, it gets who is present instead.
const maxChanges = 64

/** An observer that holds what its reader has not taken. */
export interface RoomReader<A> extends RoomObserver {
  readonly isReady: boolean
  take(): ReadonlyArray<A>
}

/** Reads who is present, and then the changes. A slow reader is told again who is present. */
export class ChangesReader implements RoomReader<Present | Changed> {
  private readonly room: Room
  private readonly onReady: () => void
  private isBehind = true
  private changes: Array<Changed> = []

  constructor(room: Room, onReady: () => void) {
    this.room = room
    this.onReady = onReady
  }

  get isReady(): boolean {
    return this.isBehind || this.changes.length > 0
  }

  changed(change: Changed): void {
    if (this.isBehind) return
    if (this.changes.push(change) > maxChanges) this.restart()
    else this.onReady()
  }

  restart(): void {
    this.isBehind = true
    this.changes = []
    this.onReady()
  }

  take(): ReadonlyArray<Present | Changed> {
    if (this.isBehind) {
      this.isBehind = false
      return [this.room.present]
    }
    const { changes } = this
    this.changes = []
    return changes
  }
}

/** Reads how many are present. A slow reader gets the newest number only. */
export class CountReader implements RoomReader<number> {
  private readonly room: Room
  private readonly onReady: () => void
  private last: number | undefined = undefined

  constructor(room: Room, onReady: () => void) {
    this.room = room
    this.onReady = onReady
  }

  get isReady(): boolean {
    return this.last !== this.room.size
  }

  changed(): void {
    if (this.isReady) this.onReady()
  }

  restart(): void {
    this.changed()
  }

  take(): ReadonlyArray<number> {
    if (!this.isReady) return []
    this.last = this.room.size
    return [this.last]
  }
}
