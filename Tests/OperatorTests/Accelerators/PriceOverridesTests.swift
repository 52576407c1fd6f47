import Testing

@testable import Operator

@Suite struct PriceOverridesTests {
    private func table(_ prices: String) throws -> PriceTable {
        var table = PriceTable.builtIn
        table.overrides = try PriceOverrides(json: #"{"date": "2026-11-01", "prices": [\#(prices)]}"#)
        return table
    }

    private func price(
        _ table: PriceTable, _ type: String = "nvidia-l4", count: Int = 1, _ model: ProvisioningModel = .spot,
        _ region: String = "us-central1"
    ) throws -> String? {
        let machine = try #require(Accelerator.named(type)?.machines(count: count, model: model).first)
        return table.hourlyPrice(of: machine, accelerator: type, model: model, region: region)?.decimal
    }

    @Test func `the most exact own price comes first, then the list`() throws {
        let table = try table(
            """
            {"accelerator": "nvidia-l4", "hourlyCost": "0.20"},
            {"machineType": "g2-standard-4", "region": "us-central1", "hourlyCost": "0.30"},
            {"machineType": "g2-standard-4", "region": "us-central1", "provisioningModel": "Spot", "hourlyCost": "0.25"},
            {"accelerator": "nvidia-b200", "provisioningModel": "Spot", "hourlyCost": "4.00"}
            """)
        #expect(try price(table) == "0.25")
        #expect(try price(table, .standard) == "0.30")
        #expect(try price(table, "nvidia-l4", .spot, "us-west1") == "0.20")
        #expect(try price(table, "nvidia-l4", count: 4, .spot, "mars-north1") == "0.80")
        #expect(try price(table, "nvidia-b200", count: 8) == "32.00")
        #expect(try price(table, "nvidia-tesla-t4") == "0.24201", "the list's")
        #expect(table.basis == "list 2026-08-03, own 2026-11-01")
        #expect(table.basis.count <= 32)
    }

    private func price(_ table: PriceTable, _ model: ProvisioningModel) throws -> String? {
        try price(table, "nvidia-l4", count: 1, model)
    }

    private func price(
        _ table: PriceTable, _ type: String, _ model: ProvisioningModel, _ region: String
    ) throws -> String? {
        try price(table, type, count: 1, model, region)
    }

    @Test func `of equal entries the last one counts`() throws {
        let table = try table(
            #"{"accelerator": "nvidia-l4", "hourlyCost": "1"}, {"accelerator": "nvidia-l4", "hourlyCost": "2"}"#)
        #expect(try price(table) == "2.00")
    }

    @Test(arguments: [
        ("{", "is not JSON"), ("[]", "must be a JSON object"), (#"{"prices": []}"#, "date must be the day"),
        (#"{"date": "yesterday", "prices": []}"#, "date must be the day"),
        (#"{"date": "2026-11-01"}"#, "prices must be a list"),
        (#"{"date": "2026-11-01", "prices": [], "extra": 1}"#, "the file has no field extra"),
        (#"{"date": "2026-11-01", "prices": [5]}"#, "prices[0] must be an object"),
        (#"{"date": "2026-11-01", "prices": [{"hourlyCost": "1"}]}"#, "prices[0] must name either"),
        (
            #"{"date": "2026-11-01", "prices": [{"machineType": "a", "accelerator": "b", "hourlyCost": "1"}]}"#,
            "prices[0] must name either"
        ),
        (
            #"{"date": "2026-11-01", "prices": [{"machineType": "a", "hourlyCost": 1}]}"#,
            "prices[0].hourlyCost must be a string"
        ),
        (
            #"{"date": "2026-11-01", "prices": [{"machineType": "a", "hourlyCost": "free"}]}"#,
            "prices[0].hourlyCost must be a decimal above 0"
        ),
        (
            #"{"date": "2026-11-01", "prices": [{"machineType": "a", "hourlyCost": "1", "price": "2"}]}"#,
            "prices[0] has no field price"
        ),
        (
            #"{"date": "2026-11-01", "prices": [{"machineType": "a", "hourlyCost": "1", "provisioningModel": "Cheap"}]}"#,
            "prices[0].provisioningModel must be one of Standard, Spot"
        ),
    ])
    func `a wrong file is refused with its place`(text: String, message: String) {
        #expect {
            _ = try PriceOverrides(json: text)
        } throws: { error in
            (error as? PriceOverrides.FormatError)?.message.contains(message) == true
        }
    }
}
