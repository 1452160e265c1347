import type { Budget } from "./Budget.js"
import type { ConnectionObserver, ObservedConnection } from "./Observer.js"
import type { Owner } from "./Closables.js"

/** Tells an observer about the beginning and the end of a connection. It never closes the connection. */
class Observed implements Owner {
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

/** A connection that an observer can be told about. */
interface Observable extends ObservedConnection {
  readonly settings: { readonly budget: Budget | undefined; readonly observer?: ConnectionObserver | undefined }
  addOwner(owner: Owner): void
}

/** Tells the observer of a connection, if it has one, about its beginning and its end. The connection has not started. */
export const observe = (connection: Observable): void => {
  const { observer } = connection.settings
  if (observer !== undefined) connection.addOwner(new Observed(connection, observer))
}
