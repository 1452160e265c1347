/** Plots as SVG with their own background, so that they are readable on every page. Axes are logarithmic. */
const width = 900
/** A subject has the same color in all plots. */
const colors: Readonly<Record<string, string>> = {
  run: "#2563eb",
  receiveAll: "#0891b2",
  receive: "#16a34a",
  messages: "#9333ea",
  ws: "#d97706",
  Bun: "#db2777",
  "@effect/platform": "#dc2626",
  "raw net": "#6b7280"
}
const ink = "#24292f"
const faint = "#57606a"
const grid = "#e3e7ec"
const color = (name: string): string => colors[name] ?? ink

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

interface LabelStyle {
  readonly anchor?: "start" | "middle" | "end"
  readonly fill?: string
  readonly bold?: boolean
}

const label = (x: number, y: number, text: string, { anchor = "middle", bold = false, fill = ink }: LabelStyle = {}) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${fill}"${bold ? ' font-weight="600" font-size="15"' : ""}>${escape(text)}</text>`

const line = (from: readonly [number, number], to: readonly [number, number], stroke: string): string =>
  `<line x1="${from[0].toFixed(1)}" y1="${from[1].toFixed(1)}" x2="${to[0].toFixed(1)}" y2="${to[1].toFixed(1)}" stroke="${stroke}"/>`

const dot = (x: number, y: number, name: string, radius: number): string =>
  `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius}" fill="${color(name)}" stroke="#fff"/>`

const legendTop = 44

const frame = (height: number, title: string, names: ReadonlyArray<string>, content: ReadonlyArray<string>): string => {
  let x = 20
  const legend = names.flatMap((name) => {
    const at = x
    // An estimate of the text width, because the font is unknown.
    x += 38 + name.length * 7.5
    return [dot(at + 6, legendTop + 5, name, 6), label(at + 18, legendTop + 9, name, { anchor: "start" })]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="#fff" stroke="#d0d7de"/>`,
    label(20, 28, title, { anchor: "start", bold: true }),
    ...legend,
    ...content,
    "</svg>\n"
  ].join("\n")
}

const scale = (values: ReadonlyArray<number>, from: number, to: number) => {
  const low = Math.log10(Math.min(...values))
  const high = Math.log10(Math.max(...values))
  return (value: number) => from + ((to - from) * (Math.log10(value) - low)) / Math.max(high - low, 1e-9)
}

export interface Dot {
  /** The row, and the name of the series. */
  readonly row: string
  readonly name: string
  readonly value: number
}

/** A row of dots for each case. A line marks the baseline. */
export const dots = (title: string, unit: string, names: ReadonlyArray<string>, all: ReadonlyArray<Dot>): string => {
  const rows = [...new Set(all.map(({ row }) => row))]
  const left = 430
  const right = width - 30
  const top = 72
  const step = 30
  const bottom = top + rows.length * step
  const ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
  const values = all.map(({ value }) => value)
  const low = ticks.findLast((tick) => tick <= Math.min(...values)) ?? 0.02
  const high = ticks.find((tick) => tick >= Math.max(...values)) ?? 20
  const shown = ticks.filter((tick) => tick >= low && tick <= high)
  const x = scale([low, high], left, right)
  return frame(bottom + 52, title, names, [
    ...shown.flatMap((tick) => [
      line([x(tick), top], [x(tick), bottom], tick === 1 ? faint : grid),
      label(x(tick), bottom + 18, tick === 1 ? "1 = ws" : String(tick), { fill: faint })
    ]),
    label((left + right) / 2, bottom + 40, unit, { fill: faint }),
    ...rows.flatMap((row, index) => {
      const y = top + (index + 0.5) * step
      return [
        line([left, y], [right, y], grid),
        label(left - 14, y + 4, row, { anchor: "end" }),
        // The first names are drawn above the others.
        ...all
          .filter((one) => one.row === row)
          .sort((one, other) => names.indexOf(other.name) - names.indexOf(one.name))
          .map(({ name, value }) => dot(x(value), y, name, 6.5))
      ]
    })
  ])
}

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }>
}

const powersWithin = (low: number, high: number): ReadonlyArray<number> =>
  Array.from({ length: 16 }, (_, index) => 10 ** (index - 4)).filter((value) => value >= low && value <= high)

/** Both axes are logarithmic, so a linear cost is a straight line. */
export const lines = (
  title: string,
  unit: { readonly x: string; readonly format: (x: number) => string },
  series: ReadonlyArray<Series>
): string => {
  const left = 80
  const right = width - 40
  const top = 76
  const bottom = 360
  const points = series.flatMap(({ points }) => points)
  const xs = [...new Set(points.map((point) => point.x))]
  const ys = points.map((point) => point.y)
  // Whole powers of ten around all values.
  const low = 10 ** Math.floor(Math.log10(Math.min(...ys)))
  const high = 10 ** Math.ceil(Math.log10(Math.max(...ys)))
  const x = scale(xs, left + 20, right - 20)
  const y = scale([low, high], bottom, top)
  return frame(
    bottom + 56,
    title,
    series.map(({ name }) => name),
    [
      ...powersWithin(low, high).flatMap((value) => [
        line([left, y(value)], [right, y(value)], grid),
        label(left - 10, y(value) + 4, value.toLocaleString("en"), { anchor: "end", fill: faint })
      ]),
      ...xs.map((value) => label(x(value), bottom + 20, unit.format(value), { fill: faint })),
      label((left + right) / 2, bottom + 42, unit.x, { fill: faint }),
      ...series.flatMap(({ name, points }) => [
        `<polyline fill="none" stroke="${color(name)}" stroke-width="2" points="${points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(" ")}"/>`,
        ...points.map((point) => dot(x(point.x), y(point.y), name, 4.5))
      ])
    ]
  )
}
