import Encoding
import Testing
import Training

@testable import TrainerCommand

struct PredictionRequestTests {
    private let signature = ModelSignature(height: 2, width: 3, classCount: 4)

    private func predict(_ text: String) -> String {
        do {
            let request = try PredictionRequest(predict: try JSONValue(parsing: text), signature, limit: 3)
            return "\(request.count) \(request.pixels.map { "\($0)" }.joined(separator: " "))"
                + (request.wantsScores ? " scores" : "")
        } catch let problem as PredictionRequest.Problem {
            return problem.message
        } catch {
            return "\(error)"
        }
    }

    @Test(
        arguments: [
            ("{\"instances\": [[[1,2,3],[4,5,6]]]}", "1 1.0 2.0 3.0 4.0 5.0 6.0"),
            (
                "{\"data\": [[[[1,2,3],[4,5,255]]], [0,0,0,0,0,0.5]]}",
                "2 1.0 2.0 3.0 4.0 5.0 255.0 0.0 0.0 0.0 0.0 0.0 0.5"
            ),
            ("{\"instances\": [[[[1],[2],[3]],[[4],[5],[6]]]], \"scores\": true}", "1 1.0 2.0 3.0 4.0 5.0 6.0 scores"),
            (
                "{\"instances\": [{\"b64\": \"AAECAwT/\"}], \"parameters\": {\"scores\": true}}",
                "1 0.0 1.0 2.0 3.0 4.0 255.0 scores"
            ),
        ])
    func `an image may come in five forms`(body: String, expected: String) {
        #expect(predict(body) == expected)
    }

    @Test(
        arguments: [
            ("[]", "the body is no JSON object; "), ("{}", "the body needs \"instances\" (or \"data\"), once; "),
            ("{\"instances\": [], \"data\": []}", "the body needs \"instances\" (or \"data\"), once; "),
            ("{\"instances\": 5}", "\"instances\" is no list; "), ("{\"instances\": []}", "\"instances\" is empty"),
            ("{\"instances\": [1,2,3,4]}", "4 instances are too many for one request: at most 3"),
            ("{\"instances\": [5]}", "instances[0] is no list of numbers, but a number"),
            ("{\"instances\": [null]}", "instances[0] is no list of numbers, but null"),
            ("{\"instances\": [{\"image\": 1}]}", "instances[0] is no list of numbers, but an object"),
            ("{\"instances\": [[]]}", "instances[0] is empty, or has an empty row"),
            ("{\"instances\": [[[[[[1]]]]]]}", "instances[0] is nested too deep"),
            (
                "{\"instances\": [[1,2,3,4,5,6],[1,2,3,4,5]]}",
                "instances[1] has the shape 5; {\"instances\": [image, ...]}"
            ),
            ("{\"instances\": [[[1,2,3],[4,5]]]}", "instances[0] is ragged: a row has not 3 elements"),
            ("{\"instances\": [[[1,2,3],4]]}", "instances[0] is ragged: a row has not 3 elements"),
            ("{\"instances\": [[1,2,3,4,5,256]]}", "instances[0] holds 256; pixels are from 0 to 255"),
            ("{\"instances\": [[1,2,3,4,5,-0.5]]}", "instances[0] holds -0.5; pixels are from 0 to 255"),
            ("{\"instances\": [[1,2,3,4,5,\"6\"]]}", "instances[0] holds a string where a number belongs"),
            ("{\"instances\": [[1,2,3,4,5,null]]}", "instances[0] holds null where a number belongs"),
            ("{\"instances\": [[1,2,3,4,5,[6]]]}", "instances[0] holds a list where a number belongs"),
            ("{\"instances\": [{\"b64\": \"?\"}]}", "instances[0].b64 is no base64"),
            ("{\"instances\": [{\"b64\": \"AAEC\"}]}", "instances[0].b64 has 3 bytes; an image has 6"),
            ("{\"instances\": [[1,2,3,4,5,6]], \"scores\": 1}", "\"scores\" is true or false"),
        ])
    func `a wrong request gets a sentence that names what is wrong`(body: String, message: String) {
        #expect(predict(body).hasPrefix(message), "\(predict(body))")
    }

    private func infer(_ text: String) -> String {
        do {
            let request = try PredictionRequest(infer: try JSONValue(parsing: text), signature, limit: 3)
            return "\(request.count) \(request.pixels.map { "\($0)" }.joined(separator: " "))"
        } catch let problem as PredictionRequest.Problem {
            return problem.message
        } catch {
            return "\(error)"
        }
    }

    private func input(_ shape: String, _ data: String, type: String = "FP32") -> String {
        "{\"inputs\": [{\"name\": \"x\", \"datatype\": \"\(type)\", \"shape\": \(shape), \"data\": \(data)}]}"
    }

    @Test func `an infer request brings one tensor, flat or nested`() {
        #expect(infer(input("[1,1,2,3]", "[1,2,3,4,5,6]")) == "1 1.0 2.0 3.0 4.0 5.0 6.0")
        #expect(infer(input("[1,6]", "[[1,2,3],[4,5,6]]", type: "UINT8")) == "1 1.0 2.0 3.0 4.0 5.0 6.0")
        #expect(infer(input("[1,6]", "[1,2,3,4,5]")) == "inputs[0].data has 5 numbers; its shape says 6")
        #expect(
            infer(input("[1,6]", "[1,2,3,4,5,6,7]")) == "inputs[0].data has more numbers than its shape says (6)")
        #expect(infer(input("[1,7]", "[]")).hasPrefix("inputs[0].shape is [images, 1, 2, 3]"))
        #expect(infer(input("[-1,6]", "[]")).hasPrefix("inputs[0].shape is"))
        #expect(infer(input("[9223372036854775807,6]", "[]")).hasSuffix("are too many for one request: at most 3"))
        #expect(infer(input("[1,6]", "[]", type: "BYTES")).hasPrefix("inputs[0].datatype is one of UINT8"))
        #expect(infer(input("[1,6]", "[[[[[[1]]]]]]")) == "inputs[0].data is nested too deep")
        #expect(infer("{}") == "\"inputs\" is a list of one tensor")
        #expect(infer("{\"inputs\": [{}]}") == "inputs[0] has no name")
    }
}
