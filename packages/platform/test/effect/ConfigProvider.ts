import { ConfigProvider } from "effect"

export * from "effect/ConfigProvider"

export const fromEnvRecord = (variables: Readonly<Record<string, string>>): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromMap(new Map(Object.entries(variables)))
