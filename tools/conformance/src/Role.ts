export type Role = "client" | "server"

export const bothRoles: ReadonlyArray<Role> = ["server", "client"]
