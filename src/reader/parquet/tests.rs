//! Columns that are decoded side by side.

use std::fs::File;
use std::io::Write;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::*;
use crate::reader::stored::Meter;

fn footer(rows: &RecordBatch, group_rows: usize, page_rows: usize) -> (Footer, u64) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let file = CountedFile::new(file, Meter::default()).unwrap();
    (Footer::read(Path::new("x.parquet"), file).unwrap(), bytes.len() as u64)
}

fn all(mut file: ParquetFile) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    while let Some(rows) = file.next().unwrap() {
        assert_eq!(file.whole().unwrap().num_rows(), rows.num_rows());
        batches.push(rows);
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn threads_make_no_difference(
        columns in prop::collection::vec(any::<bool>(), 1..6),
        rows in 0_usize..300,
        group_rows in 1_usize..120,
        page_rows in 1_usize..50,
        kept in prop::collection::vec(any::<bool>(), 6),
        threads in 2_usize..6,
    ) {
        let column = |(index, text): (usize, &bool)| -> (String, ArrayRef, bool) {
            let values = (0..rows).map(|row| if (row + index) % 7 == 0 { None } else { Some(row * (index + 1)) });
            let array: ArrayRef = if *text {
                Arc::new(values.map(|value| value.map(|value| format!("a longer text {value}"))).collect::<StringArray>())
            } else {
                Arc::new(values.map(|value| value.map(|value| i64::try_from(value).unwrap())).collect::<Int64Array>())
            };
            (format!("c{index}"), array, true)
        };
        let written = RecordBatch::try_from_iter_with_nullable(columns.iter().enumerate().map(column)).unwrap();
        let indices: Vec<usize> = (0..columns.len()).filter(|index| kept[*index]).collect();
        prop_assume!(!indices.is_empty());
        let (footer, _) = footer(&written, group_rows, page_rows);
        let one = all(footer.clone().open_on(&indices, 1).unwrap());
        let many = all(footer.open_on(&indices, threads).unwrap());
        prop_assert_eq!(one.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
        prop_assert_eq!(one, many);
    }
}

#[test]
fn a_file_that_nobody_reads_on_lets_its_threads_go() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
    let rows = RecordBatch::try_from_iter([("a", Arc::clone(&ids)), ("b", Arc::clone(&ids)), ("c", ids)]).unwrap();
    let (footer, _) = footer(&rows, 1000, 100);
    let mut file = footer.open_on(&[0, 1, 2], 3).unwrap();
    assert_eq!(file.next().unwrap().map(|rows| rows.num_columns()), Some(3));
    // Waits for them: a thread that went on would never end here.
    drop(file);
}
