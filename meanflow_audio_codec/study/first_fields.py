"""The fields that configurations of the study's cells had when its first results were made."""

# A hash always covers these, and a field that is not here only where its value differs from its default: so a field
# that is added leaves all hashes as they are. A field whose default changes belongs here, whenever it was added: runs
# with the old default are then told from those with the new one.
FIRST_FIELDS = {
    name: tuple(fields.split())
    for name, fields in {
        "ExperimentConfig": "name dataset segment_tokens tokenizer normalization encoder bottleneck prior decoder "
        "method optimizer training",
        "OptimizerConfig": "learning_rate schedule warmup_steps final_learning_rate_share weight_decay beta1 beta2 "
        "max_gradient_norm",
        "TrainingConfig": "num_steps batch_size seed ema_decay prior_loss_weight detach_condition log_every "
        "validate_every validation_batches checkpoint_every keep_checkpoints",
        "AudioFolderConfig": "kind folders sample_rate crop_samples gain_range_db label_columns level_dbfs",
        "MnistConfig": "kind",
        "SyntheticImagesConfig": "kind",
        "SyntheticAudioConfig": "kind sample_rate crop_samples",
        "MDCTConfig": "kind hop_length window kbd_alpha",
        "ReshapeConfig": "kind patch",
        "GainShapeConfig": "kind num_bands step_db loss_gain_exponent",
        "ChannelStatisticsConfig": "kind compression_power shared_scale fit_batches",
        "MLPConfig": "kind width hidden_width num_blocks expansion gelu",
        "MixerConfig": "kind width token_width num_blocks expansion gelu",
        "ConvNeXtConfig": "kind width num_blocks kernel_size expansion gelu response_normalization",
        "FSQConfig": "kind levels",
        "EncoderConfig": "architecture",
        "PriorConfig": "architecture",
        "VelocityNetConfig": "architecture output velocity_head max_time_frequency num_time_frequencies "
        "condition_width num_classes",
        "DiscriminatorConfig": "width num_blocks hop_lengths",
        "AutoencoderConfig": "kind",
        "TimeConfig": "mean standard_deviation equal_share",
        "FixedGuidanceConfig": "label_drop_rate scale mixing",
        "GuidanceConfig": "label_drop_rate max_scale beta sampling_scale condition_on_interval sampling_interval",
        "AdversarialConfig": "kind loss adversarial_weight feature_matching_weight start_step learning_rate_share "
        "discriminator",
        "FlowMatchingConfig": "kind time_mean time_standard_deviation label_drop_rate solver sampling_scale "
        "adaptive_weight_power adaptive_weight_epsilon default_num_steps default_temperature",
        "MeanFlowConfig": "kind time guidance adaptive_weight_power adaptive_weight_epsilon default_num_steps "
        "default_temperature",
        "ImprovedMeanFlowConfig": "kind time guidance adaptive_weight_power adaptive_weight_epsilon "
        "default_num_steps default_temperature",
    }.items()
}
