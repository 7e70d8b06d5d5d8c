use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;

use super::super::record::tests::{failed, finished};
use super::*;

fn records() -> Vec<Record> {
    vec![
        finished(&[("training.weight", "edm"), ("churn", "8.0")], 1, 2.5),
        finished(&[("training.weight", "a, \"b\"")], 2, 0.1),
        failed(&[("training.weight", "paper")], 3, "two\nlines"),
    ]
}

#[test]
fn csv_quotes_what_it_must_and_leaves_gaps_empty() {
    let text = csv(&columns(&records()));
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("cell,training.weight,churn,seed,status,images,cnn_fid,"));
    assert!(lines.next().unwrap().contains(",edm,8.0,1,ok,8,2.5,0.5,0.25,0.125,0,20,0.5,3,1048576,9,"));
    assert!(lines.next().unwrap().contains(",\"a, \"\"b\"\"\",,2,ok,8,0.1,"));
    assert!(text.contains(",paper,,3,failed,,,,,,,,,,,9,,,,,,\"two\nlines\",\n"), "{text}");
}

#[test]
fn parquet_holds_the_same_as_csv() {
    let records = records();
    let columns = columns(&records);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &records).unwrap();
    let file = std::fs::File::open(folder.path().join("results.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let names: Vec<&str> =
        reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name()).collect();
    assert_eq!(names, columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    let at = |name: &str| names.iter().position(|other| *other == name).unwrap();
    assert_eq!(rows[1].get_string(at("training.weight")).unwrap(), "a, \"b\"");
    assert_eq!(rows[0].get_double(at("cnn_fid")).unwrap(), 2.5);
    assert_eq!(rows[0].get_long(at("calls")).unwrap(), 20);
    assert_eq!(rows[2].get_string(at("error")).unwrap(), "two\nlines");
    assert!(rows[2].get_double(at("cnn_fid")).is_err() && rows[1].get_string(at("churn")).is_err());
}
