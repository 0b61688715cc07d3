// What the module around SentencePiece offers, as C functions. SentencePiece's library brings an
// old Protocol Buffers of its own under the names of the one that ONNX and libtorch use, so the two
// must not see each other: the module is loaded at run time into a scope of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

/// Takes bytes that are valid during the call only.
using StrataTake = void (*)(void* receiver, const char* bytes, size_t size);

/// Every function that returns a bool is false after an error, whose text `error` then took.
struct StrataSentencePiece {
  /// Byte-pair encoding of `count` sentences; pad, unknown, begin and end are 0 to 3.
  bool (*learn)(const char* const* sentences, const size_t* sizes, size_t count, int64_t vocabulary,
                void* receiver, StrataTake take, void* error_receiver, StrataTake error);
  /// Null: no model, or one with other numbers for pad, unknown, begin and end.
  void* (*open)(const char* bytes, size_t size);
  void (*close)(void* model);
  int64_t (*size)(const void* model);
  /// `take` gets numbers, sizeof(int) bytes each.
  bool (*encode)(const void* model, const char* text, size_t size, void* receiver, StrataTake take);
  bool (*decode)(const void* model, const int* words, size_t count, void* receiver,
                 StrataTake take);
};

/// The one symbol that the module exports.
const StrataSentencePiece* strata_sentencepiece();
}
