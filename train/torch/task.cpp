// What most tasks share, and the choice among them.
#include "train/torch/task.h"

#include "models/gat.h"
#include "models/gnmt.h"
#include "models/pointnet2.h"
#include "train/torch/tasks/image_classification.h"
#include "train/torch/tasks/node_classification.h"
#include "train/torch/tasks/point_classification.h"
#include "train/torch/tasks/translation.h"

namespace strata::train {

at::Tensor Task::answer(Network& network, const Batch& batch, const ModelRoute& route,
                        const Pass& pass) const {
  return network.forward(0, batch.inputs, route, pass).at(0);
}

at::Tensor Task::loss(const at::Tensor& answer, const Batch& batch) const {
  return at::cross_entropy_loss(answer, batch.targets.at(0), /*weight=*/{}, at::Reduction::Mean,
                                kNoTarget, label_smoothing_);
}

at::Tensor Task::divergence(const at::Tensor& student, const at::Tensor& teacher,
                            const Batch& /*batch*/, double temperature) const {
  const at::Tensor answered = at::log_softmax(student / temperature, 1);
  const at::Tensor taught = at::softmax(teacher / temperature, 1);
  return at::kl_div(answered, taught, at::Reduction::Sum) / static_cast<double>(student.size(0));
}

std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskContext& context) {
  if (models::is_gat(recipe.model.arch)) return make_node_classification(recipe, context);
  if (models::is_pointnet(recipe.model.arch)) return make_point_classification(recipe, context);
  if (models::is_gnmt(recipe.model.arch)) return make_translation(recipe, context);
  return make_image_classification(recipe, context);
}

}  // namespace strata::train
