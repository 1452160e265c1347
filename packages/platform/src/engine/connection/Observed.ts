import type { ConnectionObserver, ObservedConnection } from "./Observer.js"
import type { Owner } from "./Closables.js"

/** Tells an observer about the beginning and the end of a connection. It never closes the connection. */
export class Observed implements Owner {
  private readonly connection: ObservedConnection
  private readonly observer: ConnectionObserver

  constructor(connection: ObservedConnection, observer: ConnectionObserver) {
    this.connection = connection
    this.observer = observer
  }

  add(): void {
    this.observer.opened(this.connection)
  }

  delete(): void {
    this.observer.closed(this.connection)
  }
}
