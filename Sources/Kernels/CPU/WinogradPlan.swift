import KernelLoops

/// Sizes of a convolution by Winograd's method: tiles, padded channels, and where things lie in scratch memory.
struct WinogradPlan {
    let shape: ConvolutionShape
    let tileRows: Int
    let tileColumns: Int
    /// Channels, filled up to whole columns of a product.
    let inputs: Int
    let outputs: Int
    /// Tiles that are transformed and multiplied together: what they need fits the second-level cache.
    let blockTiles: Int

    init(_ shape: ConvolutionShape) {
        self.shape = shape
        tileRows = (shape.outputHeight + Winograd.tile - 1) / Winograd.tile
        tileColumns = (shape.outputWidth + Winograd.tile - 1) / Winograd.tile
        inputs = Self.padded(shape.inputChannels)
        outputs = Self.padded(shape.outputChannels)
        blockTiles = min(tileRows * tileColumns, 36)
    }

    /// With fewer channels the transforms and the padding cost more than the multiplications that are saved.
    static func fits(_ shape: ConvolutionShape) -> Bool { shape.inputChannels >= 8 && shape.outputChannels >= 8 }

    private static func padded(_ channels: Int) -> Int {
        (channels + Product.columnStep - 1) / Product.columnStep * Product.columnStep
    }

    var tiles: Int { tileRows * tileColumns }
    var blocks: Int { (tiles + blockTiles - 1) / blockTiles }
    func tiles(ofBlock block: Int) -> Range<Int> { (block * blockTiles)..<min(tiles, (block + 1) * blockTiles) }

    /// The image in whole tiles, position by position.
    var imageHeight: Int { Winograd.tile * tileRows + 2 }
    var imageWidth: Int { Winograd.tile * tileColumns + 2 }
    var imageCount: Int { imageHeight * imageWidth * inputs }
    /// Whether tiles reach over the image's edge: its memory then has places that no image fills.
    var imageHasEdge: Bool { imageHeight * imageWidth != shape.inputPlane }
    var gradientHasEdge: Bool { gradientCount != shape.outputPlane * outputs }
    /// The gradient of the results in whole tiles, position by position.
    var gradientWidth: Int { Winograd.tile * tileColumns }
    var gradientCount: Int { Winograd.tile * tileRows * gradientWidth * outputs }

    /// From point to point; not a multiple of 4 KB, which would put all points of a tile into the same few cache lines.
    var inputStride: Int { blockTiles * inputs + 16 }
    var outputStride: Int { blockTiles * outputs + 16 }
    var inputPoints: Int { Winograd.points * inputStride }
    var outputPoints: Int { Winograd.points * outputStride }
    /// Transformed weights and their gradients: for each point (inputChannels, outputs).
    var weightStride: Int { shape.inputChannels * outputs }
    var weightCount: Int { Winograd.points * weightStride }
    /// The weights turned for the data gradient: for each point (outputChannels, inputs).
    var turnedStride: Int { shape.outputChannels * inputs }
    var turnedCount: Int { Winograd.points * turnedStride }

    /// A tile's first position in the image and in the gradient.
    func imageOffset(_ tile: Int) -> Int {
        (tile / tileColumns * imageWidth + tile % tileColumns) * Winograd.tile * inputs
    }
    func gradientOffset(_ tile: Int) -> Int {
        (tile / tileColumns * gradientWidth + tile % tileColumns) * Winograd.tile * outputs
    }
}

/// Hands out pieces of a thread's scratch memory, each on a 64-byte boundary.
struct ScratchLayout {
    private(set) var count = 0

    mutating func piece(_ floats: Int) -> Int {
        defer { count += (floats + AlignedMemory.slack + 15) & ~15 }
        return count
    }
}
