/// What machines cost by Google's price list, dated. An estimate: no discounts, no disks, no network.
public struct PriceTable: Sendable, Hashable {
    /// The day of the list, e.g. "2026-08-03".
    public let date: String
    /// What all prices are in.
    public let currencyCode = "USD"
    /// The installation's own prices, which come first.
    public var overrides: PriceOverrides?
    private var machines: [String: Price]
    /// Of one attached GPU; machine families with GPUs of their own have it in the machine's price.
    private var attachments: [String: Price]
    /// Of one TPU chip, by the family of the machine type.
    private var chips: [String: Price]

    private struct Price: Sendable, Hashable {
        var standard: Money?
        var spot: Money?

        subscript(model: ProvisioningModel) -> Money? {
            switch model {
            // What is reserved or queued is paid for at the price on demand, at most.
            case .standard, .reservationBound, .flexStart: standard
            case .spot: spot
            }
        }
    }

    /// The table that is compiled in.
    public static let builtIn = PriceTable(
        date: "2026-08-03", machines: machinePrices, attachments: attachedGPUPrices, chips: tpuChipPrices)

    /// How `status.cost.basis` names it.
    public var basis: String { overrides.map { "list \(date), own \($0.date)" } ?? "list price \(date)" }

    /// What one machine with its GPUs or TPU chips costs an hour; nil when the list does not have it.
    public func hourlyPrice(
        of machine: Accelerator.Machine, accelerator: String, model: ProvisioningModel, region: String
    ) -> Money? {
        if let own = overrides?.hourlyPrice(
            machineType: machine.type, accelerator: accelerator, count: machine.acceleratorCount, model: model,
            region: region)
        {
            return own
        }
        if let family = machine.type.split(separator: "-").first, let chip = chips["\(region) \(family)"]?[model] {
            return chip * machine.acceleratorCount
        }
        guard let base = machines["\(region) \(machine.type)"]?[model] else { return nil }
        guard machine.type.hasPrefix("n1-"), machine.acceleratorCount > 0 else { return base }
        guard let gpu = attachments["\(region) \(accelerator)"]?[model] else { return nil }
        return base + gpu * machine.acceleratorCount
    }

    /// Reads the compiled-in text: a line that begins at the margin names a region, the others its prices.
    private init(date: String, machines: String, attachments: String, chips: String) {
        self.date = date
        self.machines = PriceTable.parse(machines)
        self.attachments = PriceTable.parse(attachments)
        self.chips = PriceTable.parse(chips)
    }

    private static func parse(_ text: String) -> [String: Price] {
        var prices: [String: Price] = [:]
        var region = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 1 {
                region = String(words[0])
            } else if words.count == 3 {
                prices["\(region) \(words[0])"] = Price(standard: money(words[1]), spot: money(words[2]))
            }
        }
        return prices
    }

    private static func money(_ text: Substring) -> Money? { Int64(text).map(Money.init(microdollars:)) }

    /// One attached GPU an hour, as `machinePrices`. Source: skypilot-catalog v8 `gcp/vms.csv` (2026), Apache-2.0; the
    /// on-demand prices of P100 and P4 are Google's published ones, their spot prices are not in the data.
    private static let attachedGPUPrices = """
        us-central1
          nvidia-tesla-t4 350000 175000
          nvidia-tesla-v100 2480000 1088500
          nvidia-tesla-p100 1460000 -
          nvidia-tesla-p4 600000 -
        us-east4
          nvidia-tesla-t4 370000 164400
        europe-west4
          nvidia-tesla-t4 367500 175000
          nvidia-tesla-v100 2604000 1044300
        """

    /// One TPU chip an hour, by the family of its machine types. v4: us-central2 only; v5e: dstackai/gpuhunt's
    /// `tpu_pricing.json` of 2024-12, without spot prices by region; v5p and v6e: skypilot-catalog v8 (2026), Apache-2.0.
    /// The list has no TPU7x.
    private static let tpuChipPrices = """
        us-central1
          ct5lp 1200000 -
          ct5p 4200000 836000
          ct6e 2700000 544000
        us-central2
          ct4p 3220000 921500
        us-east1
          ct5p 4200000 836000
          ct6e 2700000 544000
        us-east4
          ct6e 2700000 578000
        us-east5
          ct5lp 1200000 -
          ct5p 4200000 1680000
          ct6e 2700000 1215000
        us-south1
          ct5lp 1416000 -
          ct5p 4779000 1316000
          ct6e 2700000 1350000
        us-west1
          ct5lp 1200000 -
          ct6e 2700000 544000
        us-west4
          ct5lp 1200000 -
        europe-west1
          ct5lp 1321300 -
          ct5p 4459400 -
        europe-west4
          ct5lp 1560000 -
          ct5p 4252500 1348000
          ct6e 2970000 1037000
        asia-southeast1
          ct5lp 1560000 -
          ct6e 2970000 363000
        asia-northeast1
          ct6e 3240000 943500
        asia-south1
          ct6e 3240000 -
        """

    /// `us-central1` of the zone `us-central1-a`.
    public static func region(ofZone zone: String) -> String {
        zone.lastIndex(of: "-").map { String(zone[..<$0]) } ?? zone
    }
}
