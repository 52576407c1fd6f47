import Encoding
import TrainingContract

/// A model as a list of layers, in the order of the data; each layer's sizes follow from what comes before it.
///
/// Written into the weights' file, so that whoever reads it knows the model.
public struct ModelDescription: Codable, Sendable, Hashable {
    /// One layer. What it does not use is nil.
    public struct Layer: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
            case conv2d, relu, maxpool2d, flatten, linear
        }

        public var type: Kind
        /// Of its tensors: `conv1` for `conv1.weight`; nil: the layer's place from 0, as `torch.nn.Sequential` counts.
        public var name: String?
        /// conv2d: 1 … 1,024.
        public var outChannels: Int?
        /// conv2d: 3; maxpool2d: 2.
        public var kernelSize: Int?
        /// linear: 1 … 65,536.
        public var outFeatures: Int?

        public init(
            _ type: Kind, name: String? = nil, outChannels: Int? = nil, kernelSize: Int? = nil,
            outFeatures: Int? = nil
        ) {
            self.type = type
            self.name = name
            self.outChannels = outChannels
            self.kernelSize = kernelSize
            self.outFeatures = outFeatures
        }
    }

    /// Channels, height and width of an image; nil: as the data has them.
    public var input: [Int]?
    public var layers: [Layer]

    public init(input: [Int]? = nil, layers: [Layer]) {
        self.input = input
        self.layers = layers
    }

    /// More is no description.
    public static let maximumByteCount = 1 << 20
    private static let members: Set<String> = ["input", "layers"]
    private static let layerMembers: Set<String> = ["type", "name", "outChannels", "kernelSize", "outFeatures"]

    /// Reads a description in JSON.
    ///
    /// - Parameter name: for messages.
    /// - Throws: `.usage` when it is none, or has a member that nobody knows.
    public init(parsing bytes: [UInt8], name: String) throws(TrainingError) {
        guard bytes.count <= Self.maximumByteCount else {
            throw TrainingError(.usage, "\(name) has more than \(Self.maximumByteCount) bytes: it describes no model")
        }
        do throws(JSONError) {
            let value = try JSONValue(parsing: bytes)
            if let unknown = Self.unknownMember(of: value) {
                throw JSONError(code: .invalidValue, message: "\(unknown) is not known")
            }
            self = try value.decode()
        } catch {
            throw TrainingError(
                .usage, "\(name) describes no model ({\"layers\": [{\"type\": \"linear\", …}, …]}): \(error.message)")
        }
    }

    private static func unknownMember(of value: JSONValue) -> String? {
        if let name = value.objectValue?.keys.sorted().first(where: { !members.contains($0) }) { return name }
        for (index, layer) in (value["layers"]?.arrayValue ?? []).enumerated() {
            if let name = layer.objectValue?.keys.sorted().first(where: { !layerMembers.contains($0) }) {
                return "layers[\(index)].\(name)"
            }
        }
        return nil
    }

    /// One line of JSON.
    var text: String {
        // It was built from words and numbers: it can be encoded.
        ((try? JSONValue(encoding: self)) ?? .null).serializedText()
    }

    // MARK: Those that have names

    /// PyTorch's MNIST example without dropout: 1,199,882 parameters.
    public static let cnn = smallCNN(firstChannels: 32, secondChannels: 64, hidden: 128)

    /// Two hidden layers of 512, as in PyTorch's quickstart: 669,706 parameters.
    public static let mlp = ModelDescription(layers: [
        Layer(.flatten), Layer(.linear, name: "fc1", outFeatures: 512), Layer(.relu),
        Layer(.linear, name: "fc2", outFeatures: 512), Layer(.relu), Layer(.linear, name: "fc3", outFeatures: 10),
    ])

    /// By the names that users write.
    public static let named = ["cnn": cnn, "mlp": mlp]

    static func smallCNN(firstChannels: Int, secondChannels: Int, hidden: Int, classes: Int = 10) -> ModelDescription {
        ModelDescription(layers: [
            Layer(.conv2d, name: "conv1", outChannels: firstChannels), Layer(.relu),
            Layer(.conv2d, name: "conv2", outChannels: secondChannels), Layer(.relu), Layer(.maxpool2d),
            Layer(.flatten), Layer(.linear, name: "fc1", outFeatures: hidden), Layer(.relu),
            Layer(.linear, name: "fc2", outFeatures: classes),
        ])
    }
}
