/** Plots as SVG: grouped bars, and lines over logarithmic axes. */
const width = 800
const height = 400
const margin = { left: 60, right: 150, top: 40, bottom: 50 }
const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }
const colors = ["#2563eb", "#0d9488", "#9333ea", "#dc2626", "#ea580c", "#6b7280"]
const color = (index: number): string => colors[index % colors.length]!

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
const label = (x: number, y: number, text: string, anchor = "middle"): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escape(text)}</text>`
const rule = (y: number): string =>
  `<line x1="${margin.left}" x2="${margin.left + inner.width}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#ddd"/>`

const frame = (title: string, names: ReadonlyArray<string>, content: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    label(width / 2, 22, title),
    ...content,
    ...names.flatMap((name, index) => {
      const y = margin.top + index * 20
      const x = width - margin.right + 15
      return [
        `<rect x="${x}" y="${y}" width="12" height="12" fill="${color(index)}"/>`,
        label(x + 18, y + 11, name, "start")
      ]
    }),
    "</svg>\n"
  ].join("\n")

export interface Bar {
  readonly group: string
  readonly name: string
  readonly value: number
}

// What is higher is cut, so that the others can be told apart.
const highestBar = 4

/** A group of bars for each case, and a line at 1. */
export const bars = (title: string, all: ReadonlyArray<Bar>): string => {
  const groups = [...new Set(all.map(({ group }) => group))]
  const names = [...new Set(all.map(({ name }) => name))]
  const top = Math.min(highestBar, Math.max(1, ...all.map(({ value }) => value)))
  const y = (value: number) => margin.top + inner.height * (1 - Math.min(value, top) / top)
  const slot = inner.width / groups.length
  const bar = (slot * 0.8) / names.length
  return frame(title, names, [
    ...[0.5, 1, 2, 3, 4].flatMap((value) =>
      value > top ? [] : [rule(y(value)), label(margin.left - 8, y(value) + 4, String(value), "end")]
    ),
    ...all.map(({ group, name, value }) => {
      const x = margin.left + groups.indexOf(group) * slot + slot * 0.1 + names.indexOf(name) * bar
      const at = y(value)
      return `<rect x="${x.toFixed(1)}" y="${at.toFixed(1)}" width="${bar.toFixed(1)}" height="${(margin.top + inner.height - at).toFixed(1)}" fill="${color(names.indexOf(name))}"/>`
    }),
    ...groups.map((group, index) => label(margin.left + (index + 0.5) * slot, height - margin.bottom + 18, group))
  ])
}

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }>
}

/** Both axes are logarithmic, so that what is linear is a straight line. */
export const lines = (title: string, unit: string, series: ReadonlyArray<Series>): string => {
  const points = series.flatMap(({ points }) => points)
  const scale = (values: ReadonlyArray<number>, from: number, to: number) => {
    const low = Math.log10(Math.min(...values))
    const high = Math.log10(Math.max(...values))
    return (value: number) => from + ((to - from) * (Math.log10(value) - low)) / Math.max(high - low, 1e-9)
  }
  const x = scale(
    points.map((point) => point.x),
    margin.left,
    margin.left + inner.width
  )
  const ys = points.map((point) => point.y)
  const y = scale(ys, margin.top + inner.height, margin.top)
  const powers = Array.from({ length: 16 }, (_, index) => 10 ** (index - 4)).filter(
    (value) => value >= Math.min(...ys) && value <= Math.max(...ys)
  )
  return frame(
    title,
    series.map(({ name }) => name),
    [
      ...powers.flatMap((value) => [rule(y(value)), label(margin.left - 8, y(value) + 4, String(value), "end")]),
      ...[...new Set(points.map((point) => point.x))].map((value) =>
        label(x(value), height - margin.bottom + 18, value.toLocaleString("en"))
      ),
      label(margin.left + inner.width / 2, height - 10, unit),
      ...series.flatMap(({ points }, index) => [
        `<polyline fill="none" stroke="${color(index)}" stroke-width="2" points="${points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(" ")}"/>`,
        ...points.map(
          (point) =>
            `<circle cx="${x(point.x).toFixed(1)}" cy="${y(point.y).toFixed(1)}" r="3" fill="${color(index)}"/>`
        )
      ])
    ]
  )
}
