import Kubernetes
import Operator
import System

/// The file of `--price-file`.
enum PriceFile {
    /// The built-in prices, with the file's before them.
    ///
    /// - Throws: `.unreadable` while the file is not there, `.invalid` with the place and what is wrong.
    static func table(_ path: String?) throws(ConfigurationError) -> PriceTable {
        var table = PriceTable.builtIn
        guard let path else { return table }
        let bytes: [UInt8]
        do throws(SmallFile.ReadError) {
            bytes = try SmallFile.bytes(path, limit: 4 << 20)
        } catch {
            switch error {
            case .unreadable(let reason): throw ConfigurationError(.unreadable, "--price-file \(path): \(reason)")
            case .notRegular: throw ConfigurationError(.invalid, "--price-file \(path) is not a regular file")
            case .tooLarge(let limit):
                throw ConfigurationError(.invalid, "--price-file \(path) has more than \(limit) bytes")
            }
        }
        table.overrides = try overrides(String(decoding: bytes, as: UTF8.self), path)
        return table
    }

    private static func overrides(_ text: String, _ path: String) throws(ConfigurationError) -> PriceOverrides {
        do throws(PriceOverrides.FormatError) {
            return try PriceOverrides(json: text)
        } catch {
            throw ConfigurationError(.invalid, "--price-file \(path): \(error.message)")
        }
    }
}
