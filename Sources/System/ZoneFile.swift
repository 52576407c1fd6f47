/// Files of the system's time zone database.
public enum ZoneFile {
    private static let folder = "/usr/share/zoneinfo"

    /// The TZif file of a zone, e.g. `Europe/Berlin`; nil where the system has none of that name.
    public static func bytes(_ name: String) -> [UInt8]? {
        // Nothing outside of the folder: no dots, no empty parts.
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isName = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { isLetter($0) }
        }
        guard isName, name.utf8.count <= 64 else { return nil }
        return try? SmallFile.bytes("\(folder)/\(name)", limit: 1 << 20)  // Whatever keeps it from being read.
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"): true
        default: false
        }
    }
}
