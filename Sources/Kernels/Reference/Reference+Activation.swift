extension Reference {
    /// y = max(x, 0); a NaN stays a NaN.
    public static func relu(_ x: [Double]) -> [Double] { x.map { $0 < 0 ? 0 : $0 } }

    /// dx = dy where y > 0 (or NaN), else 0; y is ReLU's result.
    public static func reluGradient(output y: [Double], outputGradient dy: [Double]) -> [Double] {
        zip(y, dy).map { $0 <= 0 ? 0 : $1 }
    }

    /// The maximum of each 2×2 window with stride 2, and its place 0…3 in the window, row-major.
    ///
    /// - x: (planes, height, width); y: (planes, height/2, width/2), halves rounded down.
    /// - The first of equal values wins; a NaN wins over numbers. Source: PyTorch's `MaxPool2d(2)`.
    public static func maxPool(
        _ x: [Double], planes: Int, height: Int, width: Int
    ) -> (values: [Double], places: [UInt8]) {
        var values: [Double] = []
        var places: [UInt8] = []
        for window in windows(planes: planes, height: height, width: width) {
            var best = 0
            for place in 1..<4 where x[window[place]] > x[window[best]] || x[window[place]].isNaN { best = place }
            values.append(x[window[best]])
            places.append(UInt8(best))
        }
        return (values, places)
    }

    /// dx is dy at each window's place, 0 elsewhere.
    public static func maxPoolGradient(
        places: [UInt8], outputGradient dy: [Double], planes: Int, height: Int, width: Int
    ) -> [Double] {
        var dx = [Double](repeating: 0, count: planes * height * width)
        for (index, window) in windows(planes: planes, height: height, width: width).enumerated() {
            dx[window[Int(places[index])]] = dy[index]
        }
        return dx
    }

    /// The four indices of every window.
    private static func windows(planes: Int, height: Int, width: Int) -> [[Int]] {
        var windows: [[Int]] = []
        for plane in 0..<planes {
            for row in 0..<(height / 2) {
                for column in 0..<(width / 2) {
                    let corner = (plane * height + 2 * row) * width + 2 * column
                    windows.append([corner, corner + 1, corner + width, corner + width + 1])
                }
            }
        }
        return windows
    }
}
