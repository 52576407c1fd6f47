import Testing
import TrainingContract

@testable import Training

struct TrainingConfigurationTests {
    @Test func `without variables the defaults hold`() throws {
        #expect(try TrainingConfiguration(environment: ["PATH": "/bin"]) == TrainingConfiguration())
    }

    @Test func `every hyperparameter is read, in both spellings`() throws {
        var expected = TrainingConfiguration()
        expected.epochs = 5
        expected.batchSize = 32
        expected.learningRate = 0.01
        expected.seed = 4
        expected.trainImages = 100
        expected.testImages = 10
        expected.threads = 3
        let camel = [
            "HP_EPOCHS": "5", "HP_BATCHSIZE": "32", "HP_LEARNINGRATE": "1e-2", "HP_SEED": "4",
            "HP_TRAINIMAGES": "100", "HP_TESTIMAGES": "10", "HP_THREADS": "3",
        ]
        let snake = [
            "HP_EPOCHS": "5", "HP_BATCH_SIZE": "32", "HP_LEARNING_RATE": "0.01", "HP_SEED": "4",
            "HP_TRAIN_IMAGES": "100", "HP_TEST_IMAGES": "10", "HP_THREADS": "3",
        ]
        #expect(try TrainingConfiguration(environment: camel) == expected)
        #expect(try TrainingConfiguration(environment: snake) == expected)
    }

    @Test(arguments: [
        ("HP_EPOCHS", "0", "HP_EPOCHS is \"0\"; it must be a whole number from 1 to 10000"),
        ("HP_EPOCHS", "two", "HP_EPOCHS is \"two\"; it must be a whole number from 1 to 10000"),
        ("HP_BATCH_SIZE", "5000", "HP_BATCH_SIZE is \"5000\"; it must be a whole number from 1 to 4096"),
        ("HP_LEARNINGRATE", "nan", "HP_LEARNINGRATE is \"nan\"; it must be a number above 0 and at most 10"),
        ("HP_LEARNINGRATE", "-1", "HP_LEARNINGRATE is \"-1\"; it must be a number above 0 and at most 10"),
        ("HP_SEED", "-1", "HP_SEED is \"-1\"; it must be a whole number from 0"),
        ("HP_TRAINIMAGES", "", "HP_TRAINIMAGES is \"\"; it must be a whole number from 1 to 2147483647"),
        (
            "HP_EPOCH", "1",
            "hyperparameter HP_EPOCH is not known; there are epochs, batchSize, learningRate, seed, trainImages, "
                + "testImages and threads"
        ),
    ])
    func `wrong values are refused with a sentence`(name: String, value: String, message: String) {
        #expect(throws: TrainingError(.usage, message)) { try TrainingConfiguration(environment: [name: value]) }
    }

    @Test func `one hyperparameter in two spellings must agree`() throws {
        #expect(
            throws: TrainingError(
                .usage, "hyperparameters HP_BATCHSIZE and HP_BATCH_SIZE differ: set one of them")
        ) { try TrainingConfiguration(environment: ["HP_BATCH_SIZE": "1", "HP_BATCHSIZE": "2"]) }
        let same = try TrainingConfiguration(environment: ["HP_BATCH_SIZE": "2", "HP_BATCHSIZE": "2"])
        #expect(same.batchSize == 2)
    }
}
