import TrainingContract

/// Curves of a whole run in at most 64 points: a report holds its last epochs only, the status remembers the earlier ones.
enum TrainingJobSeries {
    static let maximumPoints = 64

    struct Point: Hashable {
        var step: Int64
        var value: String
    }

    /// The curve so far and what a report adds to it. What the report covers, it replaces: an attempt that began from a
    /// checkpoint trains some epochs again.
    static func merged(
        _ name: String, earlier: TrainingJob.TrainerStatus.Series?, _ report: ProgressReport
    ) -> TrainingJob.TrainerStatus.Series? {
        let latest = report.history.compactMap { epoch in
            epoch.metrics[name].map {
                Point(step: Int64(max(0, epoch.step)), value: TrainingJobProgress.number($0, decimals: 4))
            }
        }
        let first = latest.map(\.step).min() ?? Int64(max(0, report.step)) + 1
        let old = zip(earlier?.steps ?? [], earlier?.values ?? []).map { Point(step: $0, value: $1) }
        let points = thinned(old.filter { $0.step < first } + latest)
        guard !points.isEmpty else { return nil }
        return TrainingJob.TrainerStatus.Series(name: name, steps: points.map(\.step), values: points.map(\.value))
    }

    /// At most 64 of the points, the first and the last among them, evenly over the steps. What was chosen once stays
    /// chosen while the last point is the same: thinning again changes nothing.
    static func thinned(_ points: [Point]) -> [Point] {
        let points = points.sorted { $0.step < $1.step }
        guard points.count > maximumPoints, let first = points.first, let last = points.last else { return points }
        let span = Double(last.step) - Double(first.step)
        var chosen: [Point] = []
        var next = points.startIndex
        for index in 0..<maximumPoints where next < points.endIndex {
            let target = Double(first.step) + span * Double(index) / Double(maximumPoints - 1)
            // The nearest point that is left.
            while next + 1 < points.endIndex,
                abs(Double(points[next + 1].step) - target) <= abs(Double(points[next].step) - target)
            {
                next += 1
            }
            chosen.append(points[next])
            next += 1
        }
        return chosen
    }
}
