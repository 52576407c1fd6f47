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
        ("HP_OPTIMIZER", "lion", "HP_OPTIMIZER is \"lion\"; it must be one of adam, adamw, sgd"),
        ("HP_BETA1", "1", "HP_BETA1 is \"1\"; it must be a number from 0 to below 1"),
        ("HP_MOMENTUM", "0.9", "HP_MOMENTUM needs the optimizer sgd"),
        ("HP_NESTEROV", "yes", "HP_NESTEROV is \"yes\"; it must be true or false"),
        ("HP_WEIGHT_DECAY", "-0.1", "HP_WEIGHT_DECAY is \"-0.1\"; it must be a number from 0 to 10"),
        ("HP_MAX_GRAD_NORM", "0", "HP_MAX_GRAD_NORM is \"0\"; it must be a number above 0 and at most 1000000"),
        (
            "HP_LEARNING_RATE_SCHEDULE", "step",
            "HP_LEARNING_RATE_SCHEDULE is \"step\"; it must be one of constant, linear, cosine"
        ),
        (
            "HP_MIN_LEARNING_RATE", "0.0001", "HP_MIN_LEARNING_RATE needs the learningRateSchedule linear or cosine"
        ),
        ("HP_SEED", "-1", "HP_SEED is \"-1\"; it must be a whole number from 0"),
        ("HP_TRAINIMAGES", "", "HP_TRAINIMAGES is \"\"; it must be a whole number from 1 to 2147483647"),
        (
            "HP_EPOCH", "1",
            "hyperparameter HP_EPOCH is not known; there are epochs, batchSize, gradientAccumulationSteps, "
                + "learningRate, learningRateSchedule, warmupSteps, minLearningRate, optimizer, beta1, beta2, momentum, "
                + "nesterov, weightDecay, maxGradNorm, seed, trainImages, testImages and threads"
        ),
    ])
    func `wrong values are refused with a sentence`(name: String, value: String, message: String) {
        #expect(throws: TrainingError(.usage, message)) { try TrainingConfiguration(environment: [name: value]) }
    }

    @Test(arguments: [
        (["HP_OPTIMIZER": "sgd", "HP_BETA1": "0.5"], "HP_BETA1 needs the optimizers adam and adamw"),
        (["HP_OPTIMIZER": "sgd", "HP_NESTEROV": "true"], "HP_NESTEROV needs a momentum above 0"),
        (
            ["HP_LEARNING_RATE_SCHEDULE": "cosine", "HP_MIN_LEARNING_RATE": "0.1", "HP_LEARNING_RATE": "0.01"],
            "HP_MIN_LEARNING_RATE is above the learning rate, 0.01"
        ),
    ])
    func `settings that do not go together are refused`(environment: [String: String], message: String) {
        #expect(throws: TrainingError(.usage, message)) { try TrainingConfiguration(environment: environment) }
    }

    @Test func `the optimizer's settings are read`() throws {
        var expected = Optimization()
        expected.algorithm = .sgd
        expected.momentum = 0.9
        expected.isNesterov = true
        expected.weightDecay = 0.0005
        expected.schedule = .linear
        expected.warmupSteps = 100
        expected.minimumLearningRate = 0.0001
        expected.maximumGradientNorm = 1.5
        let found = try TrainingConfiguration(environment: [
            "HP_OPTIMIZER": "sgd", "HP_MOMENTUM": "0.9", "HP_NESTEROV": "true", "HP_WEIGHT_DECAY": "5e-4",
            "HP_LEARNING_RATE_SCHEDULE": "linear", "HP_WARMUP_STEPS": "100", "HP_MIN_LEARNING_RATE": "1e-4",
            "HP_MAX_GRAD_NORM": "1.5", "HP_GRADIENT_ACCUMULATION_STEPS": "4",
        ])
        #expect(found.optimization == expected)
        #expect(found.gradientAccumulationSteps == 4)
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
