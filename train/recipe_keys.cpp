// Every key of the recipe language, one entry each: its place in Recipe (which is also its name),
// its range and its documentation. Adding a key is one entry here and one member there.
#include "train/recipe_keys.h"

#include <type_traits>

namespace strata::train {
namespace {

constexpr double kLarge = 1e9;  // above any count that a recipe means

constexpr Range kCount = {0, kLarge};
constexpr Range kPositive = {1, kLarge};
constexpr Range kFraction = {0, 1};
constexpr Range kPercent = {0.01, 100};
constexpr Range kEpochs = {0, 1e6};
constexpr Range kSeed = {0, 9e15};
constexpr Range kAny = {};

}  // namespace

// The member's path is the key's name, so that the two cannot differ.
#define KEY(PATH, RANGE, DOC)                                         \
  Key {                                                               \
#PATH,                                                            \
        Access < decltype(std::declval <Recipe&>().PATH)>             \
            ([](Recipe& r) -> decltype((r.PATH)) { return r.PATH; }), \
        RANGE, DOC                                                    \
  }
// The names of an enumeration's values follow the documentation, in the enumeration's order.
#define CHOICE(PATH, DOC, ...)                                                \
  Key {                                                                       \
#PATH,                                                                      \
        ChoiceAccess{{__VA_ARGS__},                                             \
                     [](const Recipe& r) { return static_cast<int>(r.PATH); },  \
                     [](Recipe& r, int value) {                                 \
                       r.PATH = static_cast<std::decay_t<decltype(r.PATH)>>(value); \
                     }},                                                        \
        kAny, DOC \
  }

const std::vector<Key>& recipe_keys() {
  static const std::vector<Key> keys = {
      KEY(seed, kSeed, "Decides every random choice of the run."),
      KEY(threads, (Range{0, 1024}), "Threads of training; 0 takes every core."),

      KEY(model.arch, kAny,
          "Architecture: resnet20, resnet18-small and the like, gat, pointnet2-ssg, pointnet2-msg, "
          "pointnet2-ssg-small, pointnet or gnmt; `strata init` lists them."),
      KEY(model.width, (Range{0, 4096}),
          "Channels of the first stage; 0 takes the architecture's. Of a point network 64 is the "
          "published size, and every layer scales with it."),
      KEY(model.stem_stride, (Range{0, 4}),
          "Stride of the first convolution; 0 takes the architecture's. 2 makes a small network "
          "about four times as fast."),
      KEY(model.input, kAny,
          "Shape of the input as CHANNELSxHEIGHTxWIDTH, such as 1x28x28; empty takes the data's."),
      KEY(model.classes, (Range{0, 65535}), "Classes of the output; 0 takes the data's."),
      KEY(model.heads, (Range{0, 4096}),
          "Attention heads of the first layer of a gat; 0 takes the architecture's. `model.width` "
          "is then the units per head."),
      KEY(model.layers, (Range{0, 32}),
          "LSTM layers of a gnmt's encoder, and as many of its decoder; 0 takes the "
          "architecture's. `model.width` is then the size of all of them."),
      KEY(model.vocabulary, (Range{0, 1048576}),
          "Sub-words of a gnmt, learned from both languages; 0 takes the architecture's."),
      KEY(model.share_embeddings, kAny,
          "A gnmt's encoder and decoder read with the same embeddings."),
      KEY(model.dropout, (Range{0, 0.99}),
          "Share of a gat's inputs, projections and attention, of what each layer of a gnmt "
          "reads, or of a point network's hidden features, that training drops."),
      KEY(model.normals, kAny, "A point network sees the points' normals, too."),
      KEY(model.keep_ends_dense, kAny,
          "The first layer and the classifier keep all their weights in every level; they count "
          "in `levels.weights`. Of a gat, the last projection alone; of a gnmt, embeddings and "
          "output."),
      KEY(model.start, kAny,
          "A .strata file of the same architecture whose least sparse level training begins with, "
          "such as a dense one; empty begins with random weights."),

      KEY(data.dir, kAny,
          "Directory of the data set (images, point clouds or graphs), the .npz file of a graph, "
          "or "
          "a tab-separated file of translations; `--data` overrides it."),
      CHOICE(data.format, "Format of the data set; auto finds out by what the directory holds.",
             "auto", "folder", "cifar10", "idx"),
      KEY(data.convert, kAny,
          "Convert grey to RGB and back, and resize, where an image does not fit; otherwise such "
          "an image is an error."),
      KEY(data.holdout, (Range{0, 0.9}),
          "Share of the images held out for testing where the directory has no train/ and test/; "
          "of "
          "the sentences of a tab-separated file, half each for validation and testing."),
      KEY(data.limit_train, kCount,
          "Training images at most, taken evenly from all classes, or sentences; 0 takes all."),
      KEY(data.limit_test, kCount, "Test images or sentences at most; 0 takes all."),
      KEY(data.points, (Range{0, 1e7}),
          "Points of a cloud, its first so many; 0 takes the architecture's."),
      KEY(data.source, kAny,
          "Language that is translated: the ending of its files (train.en), or the number of its "
          "column."),
      KEY(data.target, kAny, "Language that is translated to, like `data.source`."),
      KEY(data.test, kAny, "Name of the texts that are tested, beside train and val."),
      KEY(data.max_length, (Range{1, 4096}),
          "Pairs with more sub-words than that on a side are not learned from."),
      KEY(data.augment.crop_padding, (Range{0, 1024}),
          "Pad every side by so many pixels and crop back at a random place; 0 does not."),
      KEY(data.augment.flip, kAny, "Mirror every second image left and right."),
      KEY(data.augment.cutout, (Range{0, 4096}),
          "Side of a square at a random place that is set to the mean; 0 does not."),
      KEY(data.augment.point_dropout, (Range{0, 0.99}),
          "Up to this share of a cloud's points becomes its first point (0.875 as published)."),
      KEY(data.augment.rotate, kAny,
          "Turn clouds by any angle about the up axis, y; votes then turn them, too."),
      KEY(data.augment.scale, (Range{0, 0.9}),
          "Scale clouds by 1 - this to 1 / (1 - this) (0.2 as published)."),
      KEY(data.augment.shift, (Range{0, 100}),
          "Shift clouds along each axis by up to this (0.1 as published)."),
      KEY(data.augment.jitter, (Range{0, 100}),
          "Standard deviation of what moves each coordinate of a cloud (0.01 as published)."),

      KEY(levels.weights, kPercent,
          "Weights that each level keeps, in percent of all weights, ascending; 100 is allowed."),
      KEY(levels.flops, kPercent,
          "Multiply-adds that each level may need, in percent of the dense model's; empty leaves "
          "them free."),
      CHOICE(levels.allocation, "How a level's weights are shared out among the layers.", "uniform",
             "erk", "global"),

      CHOICE(optimizer.kind, "Stochastic gradient descent with momentum, or Adam.", "sgd", "adam"),
      KEY(optimizer.lr, (Range{0, 100}), "Learning rate at its highest."),
      KEY(optimizer.momentum, (Range{0, 0.9999}), "Momentum of sgd, beta 1 of adam."),
      KEY(optimizer.nesterov, kAny, "Nesterov momentum (sgd)."),
      KEY(optimizer.weight_decay, kFraction,
          "L2 penalty on weights; bias and normalisation are free."),
      KEY(optimizer.label_smoothing, (Range{0, 0.9}),
          "Share of the target spread evenly over all classes."),
      CHOICE(optimizer.schedule,
             "How the learning rate falls: along a cosine to 0, in steps, or not at all.", "cosine",
             "step", "constant"),
      KEY(optimizer.warmup_epochs, kEpochs, "Epochs in which the learning rate rises from 0."),
      KEY(optimizer.step_epochs, (Range{0.01, 1e6}), "Epochs between two steps (schedule step)."),
      KEY(optimizer.step_factor, kFraction, "What a step multiplies the learning rate by."),
      KEY(optimizer.batch_size, (Range{1, 65536}),
          "Images or sentences per step; a graph is always one step."),
      KEY(optimizer.epochs, (Range{0.001, 1e6}),
          "Length of the run; `grow` divides its own lengths from it if it is shorter than their "
          "sum."),
      KEY(optimizer.gradient_clip, kCount, "Largest norm of the gradient; 0 does not clip."),

      CHOICE(algorithm.kind,
             "joint trains all levels in one run; grow trains the sparsest first and adds to it; "
             "dense trains one dense network, for comparison.",
             "joint", "grow", "dense"),
      KEY(algorithm.joint.prune_begin, kFraction,
          "Point of the run, as a fraction, at which the levels begin to thin out."),
      KEY(algorithm.joint.prune_end, kFraction, "Point at which they reach `levels.weights`."),
      KEY(algorithm.joint.update_every, kPositive, "Steps between two choices of the masks."),
      KEY(algorithm.joint.freeze, kFraction, "Point after which the masks stay as they are."),
      KEY(algorithm.joint.distill, kFraction,
          "Weight of the least sparse level's answer, against the label's, in what the other "
          "levels learn."),
      KEY(algorithm.joint.temperature, (Range{0.1, 100}), "Softens the answers that are taught."),
      KEY(algorithm.joint.taught_weight, (Range{0, 100}),
          "Weight of each other level's and route's loss against the least sparse level's; below 1 "
          "favours the least sparse level."),
      KEY(algorithm.joint.routes, (Range{0, 16}),
          "Routes with a random switch of level in mid-network, trained in every step."),
      KEY(algorithm.grow.dense_epochs, kEpochs,
          "Dense epochs before the sparsest level is chosen."),
      KEY(algorithm.grow.admm_epochs, kEpochs, "ADMM epochs per level."),
      KEY(algorithm.grow.rho, (Range{0, 100}), "Strength of ADMM's pull towards sparsity."),
      KEY(algorithm.grow.dual_update_every, kPositive,
          "Steps between two updates of ADMM's duals."),
      KEY(algorithm.grow.retrain_epochs, kEpochs, "Epochs per level after its mask is fixed."),

      KEY(checkpoint.every_seconds, kCount, "Seconds between two checkpoints; 0 writes none."),
      KEY(checkpoint.path, kAny, "File of the checkpoint; empty takes OUTPUT.ckpt."),

      KEY(eval.every_epochs, kEpochs,
          "Epochs between two evaluations; 0 evaluates at the end only. Where the data have a "
          "validation split, the best of the evaluated epochs is kept."),
      KEY(eval.votes, (Range{1, 1000}),
          "Views of a test cloud whose answers are added up; 1 is the cloud itself."),
      KEY(eval.batch_size, (Range{1, 65536}), "Images or sentences per step of evaluation."),
      KEY(eval.beam, (Range{1, 64}),
          "Hypotheses of the beam search that translates for evaluation; 1 is greedy, and fast."),
  };
  return keys;
}

#undef KEY
#undef CHOICE

}  // namespace strata::train
