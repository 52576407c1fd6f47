/// `curves.svg`: losses on the left, accuracy on the right, over the epochs. Follows the viewer's light or dark scheme.
struct CurvesSVG: Sendable {
    /// One curve.
    struct Series: Sendable {
        var label: String
        /// The CSS class that colours it.
        var style: String
        var values: [Double]
        /// Decimals of the value written beside the last point.
        var digits: Int
        var suffix: String
    }

    private static let width = 960.0
    private static let height = 432.0

    var title: String
    var subtitle: String
    var metrics: TrainingMetrics

    /// The whole file.
    func text() -> String {
        let epochs = metrics.epoch
        let loss = Panel(
            title: "Loss", left: 64, width: 372, top: 122, height: 236, epochs: epochs,
            series: [
                Series(label: "train", style: "a", values: metrics.trainLoss, digits: 4, suffix: ""),
                Series(label: "test", style: "b", values: metrics.testLoss, digits: 4, suffix: ""),
            ], minimumSpread: 0.05)
        let accuracy = Panel(
            title: "Test accuracy (%)", left: 540, width: 372, top: 122, height: 236, epochs: epochs,
            series: [
                Series(label: "test", style: "c", values: metrics.testAccuracy, digits: 2, suffix: " %")
            ], minimumSpread: 2)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(Self.width)) \(number(Self.height))" \
            width="\(number(Self.width))" height="\(number(Self.height))" role="img" aria-label="\(escaped(title))">
            <style>\(Self.style)</style>
            <rect class="page" width="100%" height="100%" rx="8"/>
            <text class="title" x="32" y="40">\(escaped(title))</text>
            <text class="subtitle" x="32" y="62">\(escaped(subtitle))</text>
            \(loss.elements().joined(separator: "\n"))
            \(accuracy.elements().joined(separator: "\n"))
            </svg>

            """
    }

    private static let style = """
        text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#57606a}\
        .page{fill:#ffffff}.title{font-size:18px;font-weight:600;fill:#1f2328}.subtitle{font-size:13px}\
        .name{font-size:14px;font-weight:600;fill:#1f2328}.value{font-weight:600}\
        .grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#8c959f;stroke-width:1}\
        .line{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}\
        .line.a{stroke:#0969da}.line.b{stroke:#bc4c00}.line.c{stroke:#1a7f37}\
        .dot.a,.value.a{fill:#0969da}.dot.b,.value.b{fill:#bc4c00}.dot.c,.value.c{fill:#1a7f37}\
        @media(prefers-color-scheme:dark){text{fill:#9198a1}.page{fill:#0d1117}.title,.name{fill:#f0f6fc}\
        .grid{stroke:#262c36}.axis{stroke:#656c76}.line.a{stroke:#4493f8}.line.b{stroke:#f0883e}.line.c{stroke:#3fb950}\
        .dot.a,.value.a{fill:#4493f8}.dot.b,.value.b{fill:#f0883e}.dot.c,.value.c{fill:#3fb950}}
        """
}

/// One pair of axes with its curves.
private struct Panel {
    var title: String
    var left: Double
    var width: Double
    var top: Double
    var height: Double
    var epochs: [Int]
    var series: [CurvesSVG.Series]
    var minimumSpread: Double

    func elements() -> [String] {
        let scale = Scale(covering: series.flatMap(\.values), minimumSpread: minimumSpread)
        var elements = ["<text class=\"name\" x=\"\(number(left))\" y=\"\(number(top - 18))\">\(escaped(title))</text>"]
        for tick in scale.ticks {
            let y = vertical(tick, scale)
            elements.append(line("grid", left, y, left + width, y))
            elements.append(
                label(Format.decimal(tick, scale.digits), left - 8, y + 4, anchor: "end"))
        }
        elements.append(line("axis", left, top + height, left + width, top + height))
        for tick in epochTicks() {
            let x = horizontal(tick)
            elements.append(line("axis", x, top + height, x, top + height + 5))
            elements.append(label(String(tick), x, top + height + 20, anchor: "middle"))
        }
        elements.append(label("epoch", left + width / 2, top + height + 42, anchor: "middle"))
        for curve in series { elements += self.curve(curve, scale) }
        return elements + [legend()]
    }

    private func curve(_ curve: CurvesSVG.Series, _ scale: Scale) -> [String] {
        let points = zip(epochs, curve.values).map { (x: horizontal($0), y: vertical($1, scale)) }
        let path = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
        var elements: [String] = []
        if points.count > 1 { elements.append("<polyline class=\"line \(curve.style)\" points=\"\(path)\"/>") }
        let radius = points.count > 40 ? 2.0 : 4.0
        for (index, point) in points.enumerated() {
            let what = "epoch \(epochs[index]): \(curve.label) "
            let value = Format.decimal(curve.values[index], curve.digits) + curve.suffix
            elements.append(
                "<circle class=\"dot \(curve.style)\" cx=\"\(number(point.x))\" cy=\"\(number(point.y))\" "
                    + "r=\"\(number(radius))\"><title>\(escaped(what + value))</title></circle>")
        }
        return elements
    }

    /// Above the plot, right-aligned: a dot, the name and the last value of each curve. One text, so that the viewer's
    /// font decides where the parts lie.
    private func legend() -> String {
        let parts = series.enumerated().map { index, curve in
            let value = curve.values.last.map { Format.decimal($0, curve.digits) + curve.suffix } ?? ""
            let gap = index > 0 ? " dx=\"16\"" : ""
            return "<tspan class=\"value \(curve.style)\"\(gap)>\u{25CF} \(escaped("\(curve.label) \(value)"))</tspan>"
        }
        return
            "<text x=\"\(number(left + width))\" y=\"\(number(top - 18))\" text-anchor=\"end\">\(parts.joined())</text>"
    }

    private func vertical(_ value: Double, _ scale: Scale) -> Double {
        top + height - (value - scale.low) / (scale.high - scale.low) * height
    }

    /// The first epoch at the left edge, the last at the right; a single one in the middle.
    private func horizontal(_ epoch: Int) -> Double {
        guard let first = epochs.first, let last = epochs.last, last > first else { return left + width / 2 }
        let inset = 14.0
        return left + inset + Double(epoch - first) / Double(last - first) * (width - 2 * inset)
    }

    /// Whole epochs, at most eleven of them.
    private func epochTicks() -> [Int] {
        guard let first = epochs.first, let last = epochs.last else { return [] }
        let step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].first { (last - first) / $0 <= 10 } ?? 10_000
        return epochs.filter { ($0 - first) % step == 0 }
    }

    private func line(_ style: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<line class=\"\(style)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>"
    }

    private func label(_ text: String, _ x: Double, _ y: Double, anchor: String) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">\(escaped(text))</text>"
    }
}

/// A value axis from `low` to `high` with round ticks that enclose the values.
private struct Scale {
    var low: Double
    var high: Double
    var ticks: [Double]
    /// Decimals that tell neighbouring ticks apart.
    var digits: Int

    /// At least `minimumSpread` is covered: a tenth of a point must not look like a cliff.
    init(covering values: [Double], minimumSpread: Double) {
        let middle = ((values.min() ?? 0) + (values.max() ?? 1)) / 2
        let lowest = min(values.min() ?? 0, middle - minimumSpread / 2)
        let highest = max(values.max() ?? 1, middle + minimumSpread / 2)
        let spread = highest - lowest
        var step = 1e-6
        var digits = 6
        // Steps of 1, 2, 5 × 10ⁿ until at most five intervals are needed.
        search: for exponent in 0..<24 {
            for factor in [1.0, 2.0, 5.0] {
                step = factor * Scale.power(exponent - 6)
                digits = max(0, 6 - exponent)
                if spread / step <= 4 { break search }
            }
        }
        let first = ((lowest - spread * 0.05) / step).rounded(.down)
        let last = max(first + 1, ((highest + spread * 0.05) / step).rounded(.up))
        self.low = first * step
        self.high = last * step
        self.ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
        self.digits = digits
    }

    private static func power(_ exponent: Int) -> Double {
        (0..<abs(exponent)).reduce(1.0) { value, _ in exponent < 0 ? value / 10 : value * 10 }
    }
}

private func number(_ value: Double) -> String {
    let text = Format.decimal(value, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

private func escaped(_ text: String) -> String {
    var output = ""
    for character in text.unicodeScalars {
        switch character {
        case "&": output += "&amp;"
        case "<": output += "&lt;"
        case ">": output += "&gt;"
        case "\"": output += "&quot;"
        default: if character.value >= 0x20 { output.unicodeScalars.append(character) }
        }
    }
    return output
}
