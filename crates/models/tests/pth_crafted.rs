//! Pickles that PyTorch does not write: what older versions wrote, and what someone with bad intentions might.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;

use models::pth::{Array, Dtype, Flaw, read};

/// Four numbers, 1 to 4, as storage "0".
const NUMBERS: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn int(n: i32) -> Vec<u8> {
    [&b"J"[..], &n.to_le_bytes()].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [&b"("[..], &items.concat(), b"t"].concat()
}

fn ints(items: &[i32]) -> Vec<u8> {
    tuple(&items.iter().map(|&n| int(n)).collect::<Vec<_>>())
}

/// The storage "0" of `count` numbers, with a view of it or `N`.
fn storage(count: i32, view: &[u8]) -> Vec<u8> {
    let class = b"ctorch\nFloatStorage\n".to_vec();
    let id = tuple(&[text("storage"), class, text("0"), text("cpu"), int(count), view.to_vec()]);
    [id, b"Q".to_vec()].concat()
}

fn tensor_of(storage: Vec<u8>, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let arguments = tuple(&[storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), b"}".to_vec()]);
    [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &arguments, b"R"].concat()
}

fn tensor(offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    tensor_of(storage(4, b"N"), offset, shape, strides)
}

/// A dictionary of these values.
fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [&b"}("[..], &items, b"u"].concat()
}

/// A file in the old format with this object and, if it has one, the storage "0" of [`NUMBERS`], whose count may be a lie.
fn legacy(object: &[u8], little_endian: u8, count: i64) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend([&b"\x80\x02}"[..], &text("little_endian"), &[little_endian], b"s."].concat());
    file.extend([b"\x80\x02", object, b"."].concat());
    if !object.windows(7).any(|w| w == b"Storage") {
        file.extend(b"\x80\x02].");
        return file;
    }
    file.extend([&b"\x80\x02]"[..], &text("0"), b"a."].concat());
    file.extend(count.to_le_bytes());
    file.extend(NUMBERS.iter().flat_map(|v| v.to_le_bytes()));
    file
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<(String, Array)>, Flaw> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crafted.pth");
    fs::write(&path, bytes).unwrap();
    read(&path).map(|weights| weights.into_iter().collect()).map_err(|e| e.flaw)
}

fn read_object(object: &[u8]) -> Result<Vec<(String, Array)>, Flaw> {
    read_bytes(&legacy(object, 0x88, 4))
}

fn flaw(object: &[u8]) -> Flaw {
    read_object(object).unwrap_err()
}

/// The only array, called "a".
fn values(object: &[u8]) -> Vec<f32> {
    let weights = read_object(object).unwrap();
    assert_eq!(weights.len(), 1);
    let (name, Array { dtype, shape, values }) = weights.into_iter().next().unwrap();
    assert_eq!((name.as_str(), dtype, shape.iter().product()), ("a", Dtype::F32, values.len()));
    values
}

#[test]
fn what_older_versions_wrote_is_read() {
    // Views of storages.
    let view = tuple(&[text("view"), int(1), int(3)]);
    let of_view = |offset, shape: &[i32]| dict(&[("a", tensor_of(storage(4, &view), offset, shape, &[1]))]);
    assert_eq!(values(&of_view(1, &[2])), [3.0, 4.0]);
    assert!(matches!(flaw(&of_view(1, &[3])), Flaw::Size { needed: 4, available: 3, .. }));
    // Python 2's texts, and an ordered dictionary of a list of pairs.
    let pair = [&b"](U\x01a"[..], &tensor(0, &[2, 2], &[1, 2]), b"e"].concat();
    let object = [&b"ccollections\nOrderedDict\n]"[..], &pair, b"a\x85R"].concat();
    assert_eq!(values(&object), [1.0, 3.0, 2.0, 4.0]);
    // The last of two values under one key.
    assert_eq!(values(&dict(&[("a", tensor(0, &[1], &[1])), ("a", tensor(3, &[1], &[1]))])), [4.0]);
}

#[test]
fn nothing_is_imported_called_or_built() {
    let system = b"cposix\nsystem\n".to_vec();
    let named = [&b"\x8c\x05posix\x8c\x06system"[..], b"\x93"].concat();
    let ordered = b"ccollections\nOrderedDict\n";
    for (object, wanted) in [
        ([&system[..], &tuple(&[text("ls")]), b"R"].concat(), "posix.system"),
        (named, "posix.system"),
        (b"c__builtin__\neval\n".to_vec(), "__builtin__.eval"),
        (b"ctorch\nload\n".to_vec(), "torch.load"),
        (b"ctorch._utils\n_rebuild_sparse_tensor\n".to_vec(), "torch._utils._rebuild_sparse_tensor"),
        (b"(iposix\nsystem\n".to_vec(), "posix.system"),
        ([&b"("[..], ordered, b"o"].concat(), "OBJ of collections.OrderedDict"),
        ([&ordered[..], b")\x81"].concat(), "NEWOBJ of collections.OrderedDict"),
        ([&ordered[..], b")}\x92"].concat(), "NEWOBJ of collections.OrderedDict"),
        (b"\x82\x01".to_vec(), "a class by an extension code"),
        (b"}}b".to_vec(), "BUILD on a dictionary"),
        ([&tensor(0, &[1], &[1])[..], b"}b"].concat(), "BUILD on a tensor"),
        ([text("os.system"), b")R".to_vec()].concat(), "a call of the text \"os.system\""),
        (b"ctorch\nFloatStorage\n)R".to_vec(), "a call of torch.FloatStorage"),
        ([tuple(&[text("module"), b"N".to_vec()]), b"Q".to_vec()].concat(), "the persistent \"module\""),
    ] {
        let flaw = flaw(&object);
        assert!(matches!(&flaw, Flaw::Refused { name, .. } if name == wanted), "{flaw} instead of {wanted}");
    }
    // A tensor that is stored negated.
    let negated = [&b"}"[..], &text("neg"), b"\x88s"].concat();
    let items = [storage(4, b"N"), int(0), ints(&[1]), ints(&[1]), b"\x89".to_vec(), b"}".to_vec(), negated];
    let object = [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &tuple(&items), b"R"].concat();
    assert!(matches!(flaw(&object), Flaw::Refused { .. }));
}

#[test]
fn an_offset_is_that_of_the_instruction() {
    let start = legacy(b"", 0x88, 4);
    let before = start.windows(3).enumerate().filter(|(_, w)| *w == b"\x80\x02.").map(|(at, _)| at + 2).next().unwrap();
    let Flaw::Refused { offset, .. } = flaw(b"N0cposix\nsystem\n") else { panic!("not refused") };
    assert_eq!(offset as usize, before + 2);
}

#[test]
fn a_tensor_stays_within_its_storage() {
    let of = |offset, shape: &[i32], strides: &[i32]| dict(&[("a", tensor(offset, shape, strides))]);
    assert_eq!(values(&of(0, &[4], &[1])), NUMBERS);
    assert!(values(&of(4, &[0], &[1])).is_empty());
    for (offset, shape, strides, wanted) in [
        (0, vec![5], vec![1], 5),
        (1, vec![4], vec![1], 5),
        (0, vec![2], vec![4], 5),
        (i32::MAX, vec![], vec![], 1 << 31),
        (0, vec![i32::MAX; 64], vec![i32::MAX; 64], 1 + 64 * ((1 << 31) - 1) * ((1 << 31) - 2)),
    ] {
        let found = flaw(&of(offset, &shape, &strides));
        assert!(matches!(found, Flaw::Size { needed, available: 4, .. } if needed == wanted), "{found}");
    }
    for (offset, shape, strides) in [
        (-1, vec![1], vec![1]),
        (0, vec![-1], vec![1]),
        (0, vec![1], vec![-1]),
        (0, vec![1], vec![]),
        (0, vec![1; 65], vec![1; 65]),
    ] {
        assert!(matches!(flaw(&of(offset, &shape, &strides)), Flaw::Pickle { .. }));
    }
    // Numbers as large as a pickle can write them: 2⁶³ − 1, in every dimension.
    let largest = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec();
    let large = tuple(&vec![largest.clone(); 64]);
    let items = [storage(4, b"N"), largest, large.clone(), large, b"\x89".to_vec(), b"}".to_vec()];
    let object = dict(&[("a", [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &tuple(&items), b"R"].concat())]);
    assert!(matches!(flaw(&object), Flaw::Size { .. }));
}

#[test]
fn a_storage_is_as_long_as_it_says() {
    let object = dict(&[("a", tensor(0, &[1], &[1]))]);
    for count in [3, 5, -1, i64::MAX] {
        let flaw = read_bytes(&legacy(&object, 0x88, count)).unwrap_err();
        assert!(matches!(flaw, Flaw::Size { needed: 4, .. }), "{flaw}");
    }
    let object = dict(&[("a", tensor_of(storage(i32::MAX, b"N"), 0, &[i32::MAX], &[1]))]);
    let flaw = read_bytes(&legacy(&object, 0x88, i32::MAX.into())).unwrap_err();
    assert!(matches!(flaw, Flaw::Truncated { wanted: 0x1_ffff_fffc, available: 16, .. }), "{flaw}");
    let other = read_bytes(&legacy(&dict(&[("a", tensor(0, &[1], &[1]))]), 0x89, 4)).unwrap_err();
    assert!(matches!(other, Flaw::ByteOrder), "{other}");
}

#[test]
fn a_small_file_takes_little_memory() {
    // One number, a trillion times; and four numbers, in ten thousand tensors.
    let repeated = dict(&[("a", tensor(0, &[1 << 20, 1 << 20], &[0, 0]))]);
    let found = flaw(&repeated);
    assert!(matches!(found, Flaw::TooLarge { needed: 0x100_0000_0000, .. }), "{found}");
    let shared = [&b"}"[..], &storage(4, b"N"), b"q\x000"].concat();
    let one = tensor_of(b"h\x00".to_vec(), 0, &[1 << 13, 4], &[0, 1]);
    let items: Vec<u8> = (0..100).flat_map(|i| [text(&i.to_string()), one.clone(), b"s".to_vec()].concat()).collect();
    assert!(matches!(flaw(&[shared, items].concat()), Flaw::TooLarge { .. }));
    // Lengths that the file does not have.
    for object in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"T\xff\xff\xff\xff",
    ] {
        assert!(matches!(flaw(object), Flaw::Truncated { .. }));
    }
    // More instructions than anyone needs; and lists that would be copied again and again.
    assert!(matches!(flaw(&b"N".repeat(1 << 22)), Flaw::TooLong { .. }));
    let pairs = [&b"]("[..], &b"NN\x86".repeat(10_000), b"eq\x000"].concat();
    let copies = b"ccollections\nOrderedDict\nh\x00\x85R".repeat(1_000);
    assert!(matches!(flaw(&[pairs, copies].concat()), Flaw::TooLong { .. }));
}

#[test]
fn depth_and_circles_do_no_harm() {
    let deep = [&b")"[..], &b"\x85".repeat(1_000_000)].concat();
    assert!(matches!(flaw(&deep), Flaw::NoTensors { .. }));
    let circle = [&b"}q\x00"[..], &text("state_dict"), b"h\x00s"].concat();
    assert!(matches!(flaw(&circle), Flaw::NoTensors { .. }));
    let with_itself = [&b"}q\x00"[..], &text("b"), b"h\x00s", &text("a"), &tensor(0, &[1], &[1]), b"s"].concat();
    assert_eq!(values(&with_itself), [1.0]);
}

#[test]
fn instructions_that_do_not_fit_are_errors() {
    for object in [
        &b""[..],
        b"0",
        b"t",
        b"N(\x85",
        b"Na",
        b"}NNa",
        b"](s",
        b"](Nu",
        b"}(Nu",
        b"h\x07",
        b"q\x00",
        b"NR",
        b"ccollections\nOrderedDict\nNR",
        b"ccollections\nOrderedDict\nNN\x86R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_parameter\nNNN\x87R",
        b"NN\x93",
        b"NQ",
        b")Q",
        b"U\x01\xff",
        b"\x80\x06",
    ] {
        let flaw = flaw(object);
        assert!(matches!(flaw, Flaw::Pickle { .. }), "{}: {flaw}", object.escape_ascii());
    }
    for code in [0x00, b'I', b'S', b'g', 0x97, 0x98, 0xff] {
        let flaw = flaw(&[code]);
        assert!(matches!(flaw, Flaw::Opcode { code: found, .. } if found == code), "{flaw}");
    }
    for (object, found) in [(&b"N"[..], "None"), (b"]", "a list"), (b"}", "a dictionary without tensors: []")] {
        let flaw = flaw(object);
        assert!(matches!(&flaw, Flaw::NoTensors { found: f } if f == found), "{flaw}");
    }
}
