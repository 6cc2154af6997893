"""Draw training curves and sheets of captioned photos, and read photos from files and web addresses."""
