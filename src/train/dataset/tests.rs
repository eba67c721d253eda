use image::{GrayImage, ImageBuffer, Luma, RgbImage};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::*;

/// Folders `images` and `masks`, which are deleted in the end.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Folders(tempfile::tempdir().unwrap());
        fs::create_dir(folders.path("images")).unwrap();
        fs::create_dir(folders.path("masks")).unwrap();
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An image of 3x2 pixels.
    fn image(&self, name: &str) -> &Self {
        let pixels = GrayImage::from_raw(3, 2, vec![0, 10, 20, 30, 40, 50]).unwrap();
        pixels.save(self.path("images").join(name)).unwrap();
        self
    }

    fn mask(&self, name: &str, width: u32, labels: &[u16]) -> &Self {
        let height = labels.len() as u32 / width;
        let pixels = ImageBuffer::<Luma<u16>, _>::from_raw(width, height, labels.to_vec()).unwrap();
        pixels.save(self.path("masks").join(name)).unwrap();
        self
    }

    fn load(&self) -> Result<Vec<Sample>, DatasetError> {
        load(&self.path("images"), &self.path("masks"))
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[test]
fn pairs_are_found_by_name_and_normalised() {
    let folders = Folders::new();
    folders
        .image("b.png")
        .mask("b.tif", 3, &[0, 0, 1, 2, 2, 300]);
    folders
        .image("a.TIFF")
        .mask("a.png", 3, &[0, 0, 0, 0, 0, 0]);
    fs::write(folders.path("images").join("notes.txt"), "not an image").unwrap();
    let samples = folders.load().unwrap();
    let names: Vec<_> = samples.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(samples[1].cells.data, [0, 0, 1, 2, 2, 300]);
    // Mean 25, variance (25^2 + 15^2 + 5^2) / 3.
    let deviation = (875.0_f64 / 3.0).sqrt() + 1e-6;
    let expected = [-25.0, -15.0, -5.0, 5.0, 15.0, 25.0].map(|x| (x / deviation) as f32);
    assert_eq!(samples[0].image.data, expected);
}

#[test]
fn cells_of_a_two_valued_mask_are_its_components() {
    let folders = Folders::new();
    folders
        .image("a.png")
        .mask("a.png", 3, &[255, 0, 255, 0, 255, 255]);
    assert_eq!(folders.load().unwrap()[0].cells.data, [1, 0, 2, 0, 2, 2]);
}

#[test]
fn colour_becomes_brightness_as_in_the_element() {
    let folders = Folders::new();
    let file = folders.path("rgb.png");
    RgbImage::from_raw(2, 1, vec![200, 100, 50, 255, 255, 255])
        .unwrap()
        .save(&file)
        .unwrap();
    let brightness = read::image(&file).unwrap();
    // (77 * 200 + 150 * 100 + 29 * 50) / 256 = 124.4
    assert_eq!(brightness.data, [124.0, 255.0]);
}

#[test]
fn a_constant_image_is_finite() {
    let flat = standardised(&Plane::filled(4, 4, 7.0));
    assert_eq!(flat.data, [0.0; 16]);
}

#[test]
fn bad_data_is_refused_with_the_name_of_the_file() {
    let missing = Folders::new();
    fs::remove_dir(missing.path("images")).unwrap();
    assert!(missing.refusal().contains("images"));

    assert!(
        Folders::new()
            .refusal()
            .contains("no .png, .tif or .tiff file in")
    );

    let no_mask = Folders::new();
    no_mask
        .image("a.png")
        .image("b.png")
        .mask("b.png", 3, &[1; 6]);
    let refusal = no_mask.refusal();
    assert!(refusal.contains("a.png has no partner"), "{refusal}");

    let no_image = Folders::new();
    no_image
        .image("a.png")
        .mask("a.png", 3, &[1; 6])
        .mask("z.png", 3, &[1; 6]);
    let refusal = no_image.refusal();
    assert!(refusal.contains("z.png has no partner"), "{refusal}");

    let twice = Folders::new();
    twice
        .image("a.png")
        .image("a.tif")
        .mask("a.png", 3, &[1; 6]);
    let refusal = twice.refusal();
    assert!(
        refusal.contains("a.png") && refusal.contains("a.tif"),
        "{refusal}"
    );

    let size = Folders::new();
    size.image("a.png").mask("a.png", 2, &[1; 6]);
    let refusal = size.refusal();
    assert!(
        refusal.contains("a.png is 3x2 pixels") && refusal.contains("2x3"),
        "{refusal}"
    );

    let empty = Folders::new();
    empty.image("a.png").mask("a.png", 3, &[0; 6]);
    assert!(empty.refusal().contains("every mask"));
}

#[test]
fn unreadable_files_are_refused_with_their_name() {
    let broken = Folders::new();
    broken.image("a.png").mask("a.png", 3, &[1; 6]);
    fs::write(broken.path("images").join("a.png"), "no picture").unwrap();
    assert!(broken.refusal().contains("a.png: "));

    let coloured = Folders::new();
    coloured.image("a.png");
    RgbImage::new(3, 2)
        .save(coloured.path("masks").join("a.png"))
        .unwrap();
    let refusal = coloured.refusal();
    assert!(
        refusal.contains("a.png") && refusal.contains("a mask is grey"),
        "{refusal}"
    );
}

#[test]
fn a_seed_decides_the_split() {
    let samples = |count| -> Vec<Sample> {
        let sample = |index: usize| Sample {
            name: index.to_string(),
            image: Plane::filled(1, 1, 0.0),
            cells: Plane::filled(1, 1, 0),
        };
        (0..count).map(sample).collect()
    };
    let held_back = |seed| -> Vec<String> {
        let split = split(samples(20), 0.25, &mut StdRng::seed_from_u64(seed)).unwrap();
        assert_eq!((split.training.len(), split.validation.len()), (15, 5));
        split.validation.into_iter().map(|s| s.name).collect()
    };
    assert_eq!(held_back(1), held_back(1));
    assert_ne!(held_back(1), held_back(2));

    let mut rng = StdRng::seed_from_u64(1);
    assert!(split(samples(1), 0.5, &mut rng).is_err());
    assert!(split(samples(4), 0.99, &mut rng).is_err());
    assert_eq!(
        split(samples(2), 0.01, &mut rng).unwrap().validation.len(),
        1
    );
}
