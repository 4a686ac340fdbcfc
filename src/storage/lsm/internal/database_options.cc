#include "storage/lsm/internal/database_options.h"

#include <utility>

#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "storage/lsm/internal/lsm_shared.h"
#include "storage/lsm/internal/rocks_logger.h"

namespace kvstore::storage::lsm {
namespace {

rocksdb::CompressionType to_compression(Compression compression) {
    switch (compression) {
        case Compression::kNone: return rocksdb::kNoCompression;
        case Compression::kLz4: return rocksdb::kLZ4Compression;
        case Compression::kZstd: return rocksdb::kZSTD;
    }
    return rocksdb::kNoCompression;
}

void set_tables(const LsmEngineOptions& options, rocksdb::Options& to) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = options.shared->block_cache();
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.whole_key_filtering = true;
    // Index and filter stay with the open file: a read on the core then never misses them. They
    // are counted in EngineStatistics::memory_bytes.
    table.cache_index_and_filter_blocks = false;
    table.format_version = 5;
    to.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    // Every file stays open, so that the cache tier always knows its files (see Database::get()).
    to.max_open_files = -1;
    to.compression = to_compression(options.compression);
}

void set_checks(rocksdb::Options& to) {
    to.paranoid_checks = true;
    to.paranoid_file_checks = true;
    to.force_consistency_checks = true;
    to.check_flush_compaction_key_order = true;
    to.flush_verify_memtable_count = true;
    to.verify_sst_unique_id_in_manifest = true;
    to.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
    // A failed background write is never tried again: what the disk holds is unknown then. A full
    // disk is another matter (see Database::write() and flush()).
    to.max_bgerror_resume_count = 0;
}

void set_memory(const LsmEngineOptions& options, rocksdb::Options& to) {
    to.write_buffer_manager = options.shared->write_buffers();
    to.write_buffer_size = options.write_buffer_bytes;
    to.max_write_buffer_number = 4;
    to.min_write_buffer_number_to_merge = 1;
    // One core writes; the parallel insert would cost it for nothing.
    to.allow_concurrent_memtable_write = false;
    to.memtable_whole_key_filtering = true;
    to.memtable_prefix_bloom_size_ratio = 0.02;
}

void set_levels(const LsmEngineOptions& options, rocksdb::Options& to) {
    to.compaction_style = rocksdb::kCompactionStyleLevel;
    to.level_compaction_dynamic_level_bytes = true;
    to.max_bytes_for_level_base = options.write_buffer_bytes * 4;
    to.target_file_size_base = options.write_buffer_bytes;
    to.max_background_jobs = options.shared->background_threads();
    to.bytes_per_sync = 1U << 20U;
}

void set_housekeeping(const std::string& directory, rocksdb::Options& to) {
    to.info_log_level = rocksdb::WARN_LEVEL;
    to.info_log = std::make_shared<RocksLogger>(directory);
    to.max_manifest_file_size = 64U << 20U;
    to.stats_dump_period_sec = 0;
    to.stats_persist_period_sec = 0;
    // Files that an iterator kept alive are removed by a background thread, not by the core.
    to.avoid_unnecessary_blocking_io = true;
}

}  // namespace

rocksdb::Options make_database_options(const std::string& directory,
                                       const LsmEngineOptions& options,
                                       std::shared_ptr<rocksdb::EventListener> events) {
    rocksdb::Options made;
    made.create_if_missing = true;
    made.atomic_flush = false;  // there is one column family
    // What was not made durable on purpose is applied again from the log; a close is no exception,
    // so that it never differs from a crash.
    made.avoid_flush_during_shutdown = true;
    made.listeners.push_back(std::move(events));
    set_tables(options, made);
    set_checks(made);
    set_memory(options, made);
    set_levels(options, made);
    set_housekeeping(directory, made);
    return made;
}

}  // namespace kvstore::storage::lsm
