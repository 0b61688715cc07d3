// Google's neural machine translation system (Wu et al. 2016) as the MLPerf training benchmark runs
// it: LSTM layers with residual connections, of which the encoder's first reads both ways, and
// normalised additive attention (Bahdanau et al. 2015, Salimans and Kingma 2016).
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::models {

/// The defaults are the published sizes.
struct GnmtConfig {
  std::string name = "gnmt";
  int64_t vocabulary = 32000;    ///< sub-words, one vocabulary for both languages
  int64_t width = 1024;          ///< of embeddings, LSTM layers and attention
  int64_t encoder_layers = 8;    ///< 2 or more
  int64_t decoder_layers = 8;    ///< 2 or more
  bool share_embeddings = true;  ///< encoder and decoder read with the same ones
  float dropout = 0.2F;          ///< of what every LSTM layer reads
  bool prunable_ends = true;     ///< whether embeddings and the output layer may be pruned
};

/// Two graphs that share parameters.
///
/// "encode": source int64 [source_time, sentences], source_lengths int32 [sentences] (from 1) ->
/// memory and keys [sentences, source_time, width], which attention reads.
///
/// "decode": target int64 [target_time, sentences] (what precedes the wanted sub-words), memory,
/// keys, source_mask [sentences, source_time] (0 for a sub-word, a large negative number for
/// padding), and per layer l from 1 the state "hl" and "cl" [1, sentences, width] (0 at first) ->
/// logits [target_time * sentences, vocabulary] and the states "next_hl" and "next_cl". With
/// target_time 1 it is one step of translating, with more it is teacher-forced training.
///
/// Attention is asked by the first decoder layer's output, and every layer above reads its answer.
/// Residual connections begin at the third layer of each side. Bias and scale of attention, and its
/// vector, are not prunable. Errors: a size out of range.
Result<graph::Model> gnmt(const GnmtConfig& config);

/// The configuration of a named architecture: gnmt (8+8 layers, as published) or gnmt-mlperf (4+4
/// layers, 32,320 sub-words). Errors: another name.
Result<GnmtConfig> gnmt_config(const std::string& name);

/// Whether gnmt_config() knows the name.
bool is_gnmt(const std::string& name);

}  // namespace strata::models
